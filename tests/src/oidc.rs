//! An OpenID provider of the tests' own: the certified `oidc-provider` from npm, with invented people.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// Where `scripts/test-tools` puts what only the tests need.
pub fn test_tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools")
}

/// A provider. It ends when it is dropped, and also when this process ends without that.
pub struct OidcProvider {
    child: Child,
    /// Its issuer identifier, also the prefix of its discovery document: `http://127.0.0.1:PORT`.
    pub issuer: String,
}

/// The secret of [`OidcProvider::client`].
pub const CLIENT_SECRET: &str = "a-secret-of-the-tests-alone-0123456789";

impl OidcProvider {
    /// Starts one with the accounts `ada`, `ben` and `eve` of `tests/oidc-provider/server.mjs`, which says what a
    /// configuration may hold.
    pub fn start(configuration: &Value) -> Self {
        let modules = test_tools().join("node/node_modules");
        assert!(modules.is_dir(), "{} is not there: run scripts/test-tools", modules.display());
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        serde_json::to_writer(&mut file, configuration).expect("it is written");
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc-provider/server.mjs"))
            .arg(file.path())
            .env("NODE_MODULES", modules)
            // Held open by this process: its end is the provider's.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        for line in lines.map_while(Result::ok) {
            // The library prints warnings of its own before.
            if let Some(issuer) = line.strip_prefix("listening ") {
                return Self { issuer: issuer.to_owned(), child };
            }
        }
        panic!("the provider did not start: {:?}", child.wait());
    }

    /// A provider with the one client `guerdon`, with [`CLIENT_SECRET`] and these addresses to return to.
    pub fn client(redirect_uris: &[&str]) -> Self {
        let client = json!({ "client_id": "guerdon", "client_secret": CLIENT_SECRET, "redirect_uris": redirect_uris });
        Self::start(&json!({ "clients": [client] }))
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn it_starts_and_describes_itself() {
        let provider = OidcProvider::client(&["http://127.0.0.1:1/callback"]);
        let host = provider.issuer.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        write!(stream, "GET /.well-known/openid-configuration HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let document: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(document["issuer"], provider.issuer);
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    }
}
