//! What a person does at an identity provider.

use std::collections::BTreeMap;

use url::Url;

use super::http_client;

/// Signs in at the provider as someone; gives the path that the provider sends the browser back to.
pub async fn at_provider(start: &str, who: &str) -> String {
    let client = http_client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut cookies = BTreeMap::new();
    let mut url = Url::parse(&format!("{start}&login_hint={who}")).unwrap();
    for _ in 0..10 {
        if url.path().starts_with("/console/sso/") || url.path().starts_with("/portal/sso/") {
            return format!("{}?{}", url.path(), url.query().unwrap());
        }
        let sent: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = client.get(url.clone()).header("cookie", sent.join("; ")).send().await.unwrap();
        for value in response.headers().get_all("set-cookie") {
            let (name, value) = value.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let Some(to) = to else { panic!("{url}: {}", response.text().await.unwrap()) };
        url = url.join(&to).unwrap();
    }
    panic!("the provider leads nowhere: {url}");
}
