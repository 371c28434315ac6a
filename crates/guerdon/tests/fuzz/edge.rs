//! What stands at the door: who a proxy says is calling, addresses to be called, uploads that are not what they say.

use std::io::Cursor;

use guerdon_server::edge::content::Content;
use guerdon_server::edge::{ForwardedHeader, PublicUrl, SecurityContact, Trust, parse_networks};
use hyper::HeaderMap;

use crate::{behaviour, text};

pub const ADDRESSES: &[&str] = &[
    "203.0.113.9, 10.0.0.7",
    "for=\"[2001:db8::17]:4711\";proto=https;by=10.0.0.1, for=10.0.0.7",
    "10.0.0.0/8, ::1, fd00::/8",
    "https://loyalty.example.org:8443",
    "mailto:security@example.org",
];

pub const WORDS: &[&str] = &[
    "for=",
    "proto=https",
    "by=",
    "\"",
    "[",
    "]",
    ";",
    ",",
    "unknown",
    "_hidden",
    "::ffff:10.0.0.7",
    "0x7f.1",
    "%00",
    "\t",
    "https://",
    "http://user:secret@",
    "/8",
    "/129",
    "\r\n",
    "xn--",
    "@",
    "#",
    "?",
];

pub fn address(input: &[u8]) -> String {
    let text = text(input);
    let networks = behaviour(parse_networks(&text), |networks| format!("{} networks", networks.len().min(3)));
    let url = behaviour(text.parse::<PublicUrl>(), |url| {
        assert!(!url.page("/a").contains(['\r', '\n', ' ']), "{}", url.page("/a"));
        format!("https {}", url.is_https())
    });
    let contact = behaviour(text.parse::<SecurityContact>(), |_| "a contact".to_owned());
    let peer = "10.0.0.7".parse().unwrap();
    let mut callers = String::new();
    for (header, name) in
        [(ForwardedHeader::XForwardedFor, "x-forwarded-for"), (ForwardedHeader::Forwarded, "forwarded")]
    {
        let mut headers = HeaderMap::new();
        let Ok(value) = input.try_into() else { continue };
        headers.insert(name, value);
        let proxies = parse_networks("10.0.0.0/8").unwrap();
        let (caller, external) = Trust { proxies, header }.caller(peer, false, None, &headers);
        callers += &format!("{} {} ", caller.0 == peer, external.https);
        // Who is no proxy is not asked who calls.
        let (caller, external) = Trust { proxies: Vec::new(), header }.caller(peer, false, None, &headers);
        assert!(caller.0 == peer && !external.https);
    }
    format!("{networks}; {url}; {contact}; {callers}")
}

/// The smallest files of each kind.
pub fn uploads() -> Vec<Vec<u8>> {
    let png =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\0\0\0\nIDATx\x9cc`\0\0\0\x02\0\
        \x01\x48\xaf\xa4\x71\0\0\0\0IEND\xaeB`\x82";
    let jpeg =
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x0b\x08\0\x01\0\x01\x01\x01\x11\0\xff\xda\0\
        \x08\x01\x01\0\0?\0\x37\xff\xd9";
    let webp = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0";
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("rows.csv", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, b"a,b\n1,2\n").unwrap();
    let mut uploads = vec![png.to_vec(), jpeg.to_vec(), webp.to_vec(), zip.finish().unwrap().into_inner()];
    uploads.push(crate::files::CSV.as_bytes().to_vec());
    uploads.push(crate::files::JSON_LINES.as_bytes().to_vec());
    uploads
}

pub fn upload(input: &[u8]) -> String {
    let checks = Content::ALL
        .map(|kind| behaviour(kind.check(&mut Cursor::new(input), 1 << 20), |()| format!("is {}", kind.name())));
    checks.join("; ")
}
