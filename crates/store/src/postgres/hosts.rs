//! Connection strings of several hosts, `postgres://user@one:5432,two:5432/database`, as libpq takes them: the one that
//! takes writes is the one that is meant.

use std::net::IpAddr;

/// How a database on another machine is reached where the connection string does not say: over TLS, and no other server
/// than the one that is named. The driver's own default falls back to clear text without a word.
const REMOTE_MODE: &str = "sslmode=verify-full";

/// A connection string for each host.
pub(crate) fn urls(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let at = if user.is_empty() { "" } else { "@" };
    let url = |host: &str| {
        let url = format!("{scheme}://{user}{at}{host}{tail}");
        if is_local(host) || says(tail, "host=%2F") || says(tail, "host=/") || says(tail, "sslmode=") {
            return url;
        }
        format!("{url}{}{REMOTE_MODE}", if tail.contains('?') { '&' } else { '?' })
    };
    hosts.split(',').map(url).collect()
}

/// Whether what is sent to a database stays on this machine, or its connection string says how it is kept safe.
pub fn stays_here_or_says(url: &str) -> bool {
    let tail = url.split_once("://").map_or(url, |(_, rest)| rest);
    says(tail, "sslmode=") || urls(url).iter().all(|one| !one.ends_with(REMOTE_MODE))
}

/// Whether the query of a connection string has a parameter that begins so.
fn says(tail: &str, parameter: &str) -> bool {
    tail.split_once('?').is_some_and(|(_, query)| query.split('&').any(|one| one.starts_with(parameter)))
}

/// Whether what is sent to a host stays on this machine: a loopback address or a socket.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().starts_with("%2f")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::urls;

    #[test]
    fn each_host_gets_a_connection_string() {
        assert_eq!(
            urls("postgres://u:p,w@a:1,b/db?sslmode=require&x=1,2"),
            ["postgres://u:p,w@a:1/db?sslmode=require&x=1,2", "postgres://u:p,w@b/db?sslmode=require&x=1,2"]
        );
        assert_eq!(urls("postgres://localhost/db"), ["postgres://localhost/db"]);
        assert_eq!(urls("nonsense"), ["nonsense"]);
    }

    #[test]
    fn another_machine_is_reached_in_the_clear_only_where_that_is_said() {
        let only = |url: &str| urls(url).pop().unwrap_or_default();
        assert_eq!(only("postgres://u@db:5432/p"), "postgres://u@db:5432/p?sslmode=verify-full");
        assert_eq!(only("postgres://u@10.0.0.1/p?x=1"), "postgres://u@10.0.0.1/p?x=1&sslmode=verify-full");
        assert_eq!(only("postgres://u@[2001:db8::1]:5432/p"), "postgres://u@[2001:db8::1]:5432/p?sslmode=verify-full");
        // A password is no query.
        assert_eq!(only("postgres://u:sslmode=@db/p"), "postgres://u:sslmode=@db/p?sslmode=verify-full");
        for local in ["u@localhost:5/p", "u@127.0.0.1/p", "u@[::1]:5/p", "/p?host=/run/postgresql", "u@%2Frun%2Fpg/p"] {
            let url = format!("postgres://{local}");
            assert_eq!(only(&url), url);
        }
        let said = "postgres://u@db/p?sslmode=disable";
        assert_eq!(only(said), said);
    }
}
