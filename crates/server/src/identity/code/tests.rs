//! Codes over a real store.

use std::sync::Arc;
use std::time::Duration;

use guerdon_core::privacy::MasterKey;
use guerdon_store::RecordQuery;

use super::*;
use crate::identity::testing::{NOW, Scratch, scratch, state};
use crate::messages::{Mailbox, Post};

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

fn keyring() -> Keyring {
    Keyring::generate(Arc::new(MasterKey::new([3; 32])), std::array::from_fn(|index| index as u8)).unwrap().0
}

fn ann() -> Address {
    Address::email("Ann@example.org").unwrap()
}

struct Desk {
    scratch: Scratch,
    keyring: Keyring,
    texts_per_hour: u32,
}

impl Desk {
    async fn open() -> Self {
        Self { scratch: scratch().await, keyring: keyring(), texts_per_hour: 1_000 }
    }

    fn at(&self, millis: i64) -> Codes<'_> {
        let Self { scratch: Scratch { engine, reader, .. }, keyring, texts_per_hour } = self;
        Codes { engine, reader, keyring, now: NOW.plus_millis(millis), texts_per_hour: *texts_per_hour }
    }

    async fn start(&self, to: &Address, client: IpAddr, millis: i64) -> Result<Started, CodeError> {
        let request = CodeRequest { to, purpose: CodePurpose::SignIn, bound_to: "", client };
        self.at(millis).start(&request).await
    }

    async fn check(&self, started: &Started, code: &str, millis: i64) -> Result<Address, CodeError> {
        let guess =
            CodeGuess { challenge: started.challenge.reveal(), code, purpose: CodePurpose::SignIn, bound_to: "" };
        self.at(millis).check(&guess).await
    }
}

/// A code that was not sent.
fn other(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

#[tokio::test]
async fn a_code_proves_its_address_once_and_for_ten_minutes() {
    let desk = Desk::open().await;
    let started = desk.start(&ann(), HOME, 0).await.unwrap();
    assert_eq!(started.code.len(), 6);
    let spaced = format!(" {} {}", &started.code[..3], &started.code[3..]);
    assert_eq!(desk.check(&started, &spaced, LIFE_MS - 1).await.unwrap(), ann());
    assert!(matches!(desk.check(&started, &started.code, 1).await, Err(CodeError::Gone)));
    let late = desk.start(&ann(), HOME, 40_000).await.unwrap();
    assert!(matches!(desk.check(&late, &late.code, 40_000 + LIFE_MS).await, Err(CodeError::Gone)));
}

#[tokio::test]
async fn five_wrong_guesses_end_a_code() {
    let desk = Desk::open().await;
    let started = desk.start(&ann(), HOME, 0).await.unwrap();
    let wrong = other(&started.code);
    // What cannot be a code is no guess.
    for form in ["", "12345", "1234567", "12345a", "１２３４５６"] {
        assert!(matches!(desk.check(&started, form, 1).await, Err(CodeError::Form)), "{form}");
    }
    for left in (0..GUESSES).rev() {
        let answer = desk.check(&started, &wrong, 1).await;
        assert!(matches!(answer, Err(CodeError::Wrong(guesses)) if guesses == left), "{answer:?}");
    }
    assert!(matches!(desk.check(&started, &started.code, 1).await, Err(CodeError::Gone)));
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_that_come_at_once_are_counted_one_by_one() {
    let desk = Arc::new(Desk::open().await);
    let started = Arc::new(desk.start(&ann(), HOME, 0).await.unwrap());
    let guesses: Vec<_> = (0..40)
        .map(|_| {
            let (desk, started) = (Arc::clone(&desk), Arc::clone(&started));
            tokio::spawn(async move { desk.check(&started, &other(&started.code), 1).await })
        })
        .collect();
    let mut heard = Vec::new();
    for guess in guesses {
        if let Err(CodeError::Wrong(left)) = guess.await.unwrap() {
            heard.push(left);
        }
    }
    heard.sort_unstable();
    assert_eq!(heard, [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_code_that_comes_many_times_at_once_counts_once() {
    let desk = Arc::new(Desk::open().await);
    let started = Arc::new(desk.start(&ann(), HOME, 0).await.unwrap());
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let (desk, started) = (Arc::clone(&desk), Arc::clone(&started));
            tokio::spawn(async move { desk.check(&started, &started.code, 1).await.is_ok() })
        })
        .collect();
    let mut right = 0;
    for attempt in tries {
        right += u32::from(attempt.await.unwrap());
    }
    assert_eq!(right, 1);
}

fn seconds(answer: Result<Started, CodeError>) -> u64 {
    match answer {
        Err(CodeError::TooMany(seconds)) => seconds,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a code too many"),
    }
}

#[tokio::test]
async fn an_address_gets_one_code_in_thirty_seconds_and_five_an_hour() {
    let desk = Desk::open().await;
    desk.start(&ann(), HOME, 0).await.unwrap();
    assert_eq!(seconds(desk.start(&ann(), HOME, 1).await), 30);
    assert_eq!(seconds(desk.start(&ann(), HOME, 29_001).await), 1);
    // However it is written, and from wherever it is asked for.
    let same = Address::email("aNN@EXAMPLE.org").unwrap();
    assert_eq!(seconds(desk.start(&same, [198, 51, 100, 1].into(), 10_000).await), 20);
    for minute in 1..5 {
        desk.start(&ann(), HOME, minute * 60_000).await.unwrap();
    }
    assert_eq!(seconds(desk.start(&ann(), HOME, 600_000).await), 3_000);
    assert!(desk.start(&Address::email("bob@example.org").unwrap(), HOME, 600_000).await.is_ok());
    assert!(desk.start(&ann(), HOME, HOUR_MS).await.is_ok());
    // A clock that is set back keeps nobody waiting for ever.
    assert!(desk.start(&ann(), HOME, -HOUR_MS).await.is_ok());
}

#[tokio::test]
async fn a_network_gets_twenty_codes_an_hour() {
    let desk = Desk::open().await;
    let address = |number: u32| Address::phone(&format!("+4420794600{number:02}")).unwrap();
    for number in 0..20 {
        // All of one /64 are one network.
        let client = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, number as u16]);
        desk.start(&address(number), client, i64::from(number)).await.unwrap();
    }
    let same = IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]);
    assert_eq!(seconds(desk.start(&address(20), same, 60_000).await), 3_540);
    let next = IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]);
    assert!(desk.start(&address(20), next, 60_000).await.is_ok());
}

#[tokio::test]
async fn a_code_counts_for_its_purpose_and_person_alone() {
    let desk = Desk::open().await;
    let purpose = CodePurpose::ChangeAddress;
    let request = CodeRequest { to: &ann(), purpose, bound_to: "mem_0000000000001", client: HOME };
    let started = desk.at(0).start(&request).await.unwrap();
    let challenge = started.challenge.reveal();
    let right = CodeGuess { challenge, code: &started.code, purpose, bound_to: "mem_0000000000001" };
    let stray = Token::generate(TokenKind::OneTime);
    for wrong in [
        CodeGuess { purpose: CodePurpose::SignIn, ..right },
        CodeGuess { bound_to: "mem_0000000000002", ..right },
        CodeGuess { bound_to: "", ..right },
        CodeGuess { challenge: "", ..right },
        CodeGuess { challenge: stray.reveal(), ..right },
        CodeGuess { challenge: &started.challenge.digest(), ..right },
    ] {
        assert!(matches!(desk.at(1).check(&wrong).await, Err(CodeError::Gone)));
    }
    assert_eq!(desk.at(1).check(&right).await.unwrap(), ann());
}

#[tokio::test]
async fn the_store_holds_neither_address_nor_code_nor_token_nor_network() {
    let desk = Desk::open().await;
    let started = desk.start(&ann(), HOME, 0).await.unwrap();
    let mut seen = 0;
    for kind in [CODE, CODE_LIMIT] {
        let query = RecordQuery { kind: kind.to_owned(), limit: 10, ..RecordQuery::default() };
        for record in desk.scratch.reader.records(&query, NOW).await.unwrap() {
            seen += 1;
            let text = format!("{record:?}").to_lowercase();
            for secret in ["ann@", "example.org", started.challenge.reveal(), "203.0.113"] {
                assert!(!text.contains(&secret.to_lowercase()), "{secret} in {text}");
            }
            // Six digits may stand in a digest by chance, not on their own.
            assert!(!text.contains(&format!("\"{}\"", *started.code)));
        }
    }
    assert_eq!(seen, 3);
}

#[tokio::test]
async fn a_code_is_sent_in_the_language_of_who_asks_and_known_or_not_is_all_the_same() {
    let scratch = scratch().await;
    let mailbox = Mailbox::default();
    let post = Post::new(Some(Arc::new(mailbox.clone())), None);
    let state = state(&scratch, keyring(), post);
    let request = CodeRequest { to: &ann(), purpose: CodePurpose::Join, bound_to: "", client: HOME };
    let started = send_code(&state, Language::Chinese, &request).await.unwrap();
    state.post.drain(Duration::from_secs(5)).await;
    let message = mailbox.messages().remove(0).message;
    assert!(message.subject.contains("验证码") && message.subject.contains(started.code.as_str()));
    let guess = CodeGuess {
        challenge: started.challenge.reveal(),
        code: &started.code,
        purpose: CodePurpose::Join,
        bound_to: "",
    };
    assert_eq!(check_code(&state, &guess).await.unwrap(), ann());
    let phone = Address::phone("+442079460000").unwrap();
    let refused = send_code(&state, Language::English, &CodeRequest { to: &phone, ..request }).await;
    let problem = Problem::from(refused.err().unwrap());
    assert_eq!((problem.status, problem.code.as_str()), (422, "channel_unavailable"));
    let refused = send_code(&state, Language::English, &request).await.err().unwrap();
    assert_eq!(Problem::from(refused).retry_after, Some(30));
}

#[tokio::test]
async fn text_messages_have_a_ceiling_whoever_asks_for_them() {
    let desk = Desk { texts_per_hour: 3, ..Desk::open().await };
    let phone = |last: u8| Address::phone(&format!("+44207946000{last}")).unwrap();
    let network = |last: u8| IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, last));
    for one in 0..3 {
        assert!(desk.start(&phone(one), network(one), 0).await.is_ok());
    }
    // The hour of the clock has just begun.
    let refused = desk.start(&phone(4), network(4), 60_000).await;
    assert!(matches!(refused, Err(CodeError::NoMoreTexts(3_540))), "{:?}", refused.err());
    let problem = Problem::from(refused.err().unwrap());
    assert_eq!((problem.status, problem.code.as_str(), problem.retry_after), (429, "no_more_texts", Some(3_540)));
    // E-mail costs nothing, and the next hour has its own.
    assert!(desk.start(&ann(), HOME, 60_000).await.is_ok());
    assert!(desk.start(&phone(4), network(4), HOUR_MS).await.is_ok());
}
