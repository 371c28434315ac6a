//! Connection strings of several hosts, `postgres://user@one:5432,two:5432/database`, as libpq takes them: the one that
//! takes writes is the one that is meant.

/// A connection string for each host.
pub(crate) fn urls(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let at = if user.is_empty() { "" } else { "@" };
    hosts.split(',').map(|host| format!("{scheme}://{user}{at}{host}{tail}")).collect()
}

#[cfg(test)]
mod tests {
    use super::urls;

    #[test]
    fn each_host_gets_a_connection_string() {
        assert_eq!(
            urls("postgres://u:p,w@a:1,b/db?x=1,2"),
            ["postgres://u:p,w@a:1/db?x=1,2", "postgres://u:p,w@b/db?x=1,2"]
        );
        assert_eq!(urls("postgres://localhost/db"), ["postgres://localhost/db"]);
        assert_eq!(urls("nonsense"), ["nonsense"]);
    }
}
