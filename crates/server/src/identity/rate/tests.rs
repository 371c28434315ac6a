use governor::clock::FakeRelativeClock;

use super::*;
use crate::identity::limit::Per;

fn limits(limits: Limits) -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (RateLimits::with_clock(limits, clock.clone()), clock)
}

fn text(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_burst_is_let_through_and_then_the_rate() {
    let (limits, clock) = limits(Limits { key: Limit::new(10, Per::Second, 30), ..Limits::default() });
    let key = limits.key("key_1");
    let first = limits.check(key, None).unwrap().unwrap();
    assert_eq!(first, RateHeaders { policy: "key", quota: 30, window: 3, remaining: 29, reset: 1 });
    for left in (0..29).rev() {
        assert_eq!(limits.check(key, None).unwrap().unwrap().remaining, left);
    }
    let limited = limits.check(key, None).unwrap_err();
    assert_eq!(limited.retry_after, 1);
    assert_eq!((limited.headers.remaining, limited.headers.reset), (0, 3));
    clock.advance(Duration::from_secs(1));
    assert_eq!((0..20).filter(|_| limits.check(key, None).is_ok()).count(), 10);
    clock.advance(Duration::from_secs(60));
    assert_eq!((0..100).filter(|_| limits.check(key, None).is_ok()).count(), 30);
}

#[test]
fn callers_are_counted_apart_and_a_network_together() {
    let (limits, _) = limits(Limits { address: Limit::new(1, Per::Minute, 2), ..Limits::default() });
    let at = |text: &str| limits.check(limits.address(text.parse().unwrap()), None).is_ok();
    assert!(at("192.0.2.1") && at("192.0.2.1") && !at("192.0.2.1"));
    assert!(at("192.0.2.2"));
    assert!(at("2001:db8::1") && at("2001:db8::2") && !at("2001:db8::3"));
    assert!(at("2001:db8:0:1::1"));
    assert!(!at("::ffff:192.0.2.1"));
}

#[test]
fn waiting_is_told_in_whole_seconds() {
    let (limits, clock) = limits(Limits { member: Limit::new(1, Per::Minute, 1), ..Limits::default() });
    let member = limits.member(7);
    assert!(limits.check(member, None).is_ok());
    clock.advance(Duration::from_millis(500));
    assert_eq!(limits.check(member, None).unwrap_err().retry_after, 60);
    clock.advance(Duration::from_millis(59_400));
    assert_eq!(limits.check(member, None).unwrap_err().retry_after, 1);
    clock.advance(Duration::from_millis(100));
    assert!(limits.check(member, None).is_ok());
}

#[test]
fn a_key_may_have_a_limit_of_its_own_or_none() {
    let (limits, _) = limits(Limits { key: Limit::new(1, Per::Second, 1), ..Limits::default() });
    let own = Some(Limit::new(5, Per::Second, 5));
    let count = |id, own| (0..10_000).filter(|_| limits.check(limits.key(id), own).is_ok()).count();
    assert_eq!(count("key_1", None), 1);
    assert_eq!(count("key_2", own), 5);
    assert_eq!(count("key_3", Some(Limit::Unlimited)), 10_000);
    assert_eq!(limits.check(limits.key("key_3"), Some(Limit::Unlimited)), Ok(None));
}

#[test]
fn too_many_different_rates_fall_back_to_the_usual_one() {
    let (limits, _) = limits(Limits { key: Limit::new(3, Per::Second, 3), ..Limits::default() });
    for requests in 1..=5_000 {
        let _ = limits.check(limits.key("key_1"), Some(Limit::new(requests, Per::Hour, 2)));
    }
    assert!(limits.limiters.read().unwrap().len() <= MOST_RATES + 1);
    let own = Some(Limit::new(6_000, Per::Hour, 50));
    assert_eq!((0..100).filter(|_| limits.check(limits.key("key_9"), own).is_ok()).count(), 3);
}

#[test]
fn memory_is_bounded_and_a_flood_of_new_callers_shares_one_count() {
    let (limits, clock) = limits(Limits { address: Limit::new(10, Per::Second, 10), ..Limits::default() });
    let known = limits.address("192.0.2.1".parse().unwrap());
    assert!(limits.check(known, None).is_ok());
    let mut admitted = 0;
    for n in 0..200_000_u128 {
        let address = IpAddr::V6((0x2001_0db8_u128 << 96 | n << 64).into());
        admitted += usize::from(limits.check(limits.address(address), None).is_ok());
    }
    let limiter = limits.limiter("10/s".parse().map(rate).unwrap(), Limit::Unlimited).unwrap();
    assert!(limiter.len() <= MOST_SUBJECTS + 4_096 + 1, "{}", limiter.len());
    assert!(admitted <= limiter.len() + 10, "{admitted}");
    assert!(limits.check(known, None).is_ok(), "who was there before goes on");
    clock.advance(Duration::from_secs(60));
    limits.sweep();
    assert_eq!(limiter.len(), 0);
}

fn rate(limit: Limit) -> Rate {
    let Limit::Rate(rate) = limit else { panic!("{limit}") };
    rate
}

#[test]
fn the_answer_is_a_429_with_the_headers_of_the_draft() {
    let (limits, _) = limits(Limits { key: Limit::new(90, Per::Minute, 90), ..Limits::default() });
    let key = limits.key("key_1");
    let mut headers = HeaderMap::new();
    limits.check(key, None).unwrap().unwrap().add_to(&mut headers);
    assert_eq!(text(&headers, "ratelimit-policy"), ["\"key\";q=90;w=60"]);
    assert_eq!(text(&headers, "ratelimit"), ["\"key\";r=89;t=1"]);
    let limited = (0..90).find_map(|_| limits.check(key, None).err()).unwrap();
    let response = limited.into_response();
    assert_eq!(response.status(), 429);
    assert_eq!(text(response.headers(), "retry-after"), ["1"]);
    assert_eq!(text(response.headers(), "ratelimit"), ["\"key\";r=0;t=60"]);
    assert_eq!(Problem::from(limited).code, "rate_limited");
    assert!(limited.to_string().contains("`key`"));
}

#[test]
fn a_check_costs_next_to_nothing() {
    let limits = RateLimits::new(Limits { key: Limit::new(1_000_000, Per::Second, 1_000_000), ..Limits::default() });
    let start = std::time::Instant::now();
    for _ in 0..100_000 {
        assert!(limits.check(limits.key("key_0123456789abc"), None).is_ok());
    }
    let each = start.elapsed() / 100_000;
    // Unoptimised, on a machine that builds beside it; a few hundred nanoseconds where it counts.
    assert!(each < Duration::from_micros(20), "{each:?}");
}
