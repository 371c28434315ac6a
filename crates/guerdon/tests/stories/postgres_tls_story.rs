//! A database on another machine is reached over TLS, or in the clear where that is said; never by accident.

use guerdon_store::read::Reader;
use guerdon_tests::postgres;

use crate::support::{gift_club, guerdon};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_travels_in_the_clear_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program.toml");
    std::fs::write(&program, gift_club(10)).unwrap();
    let (database, data) = (postgres::Server::start(), folder.path().join("data"));
    // The same server, by an address that is none of this machine's own as far as anybody can tell.
    let remote = |url: &str, more: &str| format!("{}{more}", url.replace("127.0.0.1", "0.0.0.0"));
    let init = |url: &str| {
        let (data, program) = (data.to_str().unwrap(), program.to_str().unwrap());
        let (code, out, error) = guerdon(&["init", "--data-dir", data, "--database-url", url, "--program", program]);
        std::fs::remove_dir_all(data).ok();
        (code, format!("{out}{error}"))
    };
    let url = database.database();
    let (code, words) = init(&remote(&url, ""));
    assert!(code == 1 && words.contains("sslmode=disable") && words.contains("sslrootcert="), "{words}");
    let (code, words) = init(&remote(&url, "?sslmode=disable"));
    assert_eq!(code, 0, "{words}");
    assert!(Reader::connect(&remote(&url, "")).await.is_err(), "nor do the readers");
    assert!(Reader::connect(&remote(&url, "?sslmode=disable")).await.is_ok());

    let authority = rcgen::generate_simple_self_signed(vec!["0.0.0.0".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["0.0.0.0".to_owned()]).unwrap();
    let roots = |name: &str, pem: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (roots("right.pem", authority.cert.pem()), roots("wrong.pem", other.cert.pem()));
    database.use_tls(&authority.cert.pem(), &authority.signing_key.serialize_pem());
    let url = database.database();
    let (code, words) = init(&remote(&url, ""));
    assert!(code == 1 && words.contains("sslrootcert="), "the certificate is nobody's: {words}");
    let (code, words) = init(&remote(&url, &format!("?sslrootcert={wrong}")));
    assert!(code == 1 && words.contains("sslrootcert="), "{words}");
    let (code, words) = init(&remote(&url, &format!("?sslrootcert={right}")));
    assert_eq!(code, 0, "{words}");
    // What is not over TLS is not let in any more, so what came in was.
    database.only_tls();
    let (code, words) = init(&remote(&database.database(), "?sslmode=disable"));
    assert_eq!(code, 1, "{words}");
    let (code, words) = init(&remote(&database.database(), &format!("?sslrootcert={right}")));
    assert_eq!(code, 0, "{words}");
}
