//! Every parser of bytes that come from outside, fed with mutated examples: no panic, no endless loop, no overflow of the
//! stack, no memory without bound. See `guerdon_tests::fuzz` for how, and for what to do with an input that does harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use guerdon_tests::fuzz::{Guarded, Target};

#[path = "fuzz/described.rs"]
mod described;
#[path = "fuzz/edge.rs"]
mod edge;
#[path = "fuzz/files.rs"]
mod files;
#[path = "fuzz/forms.rs"]
mod forms;
#[path = "fuzz/identity.rs"]
mod identity;
#[path = "stories/support/parquet_files.rs"]
mod parquet_files;
#[path = "fuzz/programs.rs"]
mod programs;
#[path = "fuzz/proofs.rs"]
mod proofs;
#[path = "fuzz/providers.rs"]
mod providers;
#[path = "fuzz/requests.rs"]
mod requests;
#[path = "fuzz/secrets.rs"]
mod secrets;
#[path = "fuzz/stored.rs"]
mod stored;
#[path = "fuzz/texts.rs"]
mod texts;
#[path = "fuzz/wire.rs"]
mod wire;
#[path = "fuzz/world.rs"]
mod world;

#[global_allocator]
static ALLOCATOR: Guarded = Guarded;

/// How a parser behaved: the kind of success, or the words of the error.
fn behaviour<T, E: std::fmt::Display>(result: Result<T, E>, success: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => success(value),
        Err(error) => format!("{error:#}"),
    }
}

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

#[test]
fn mapping_files() {
    let words =
        &["kind", "format", "columns", "= ", "'", "\"", "[columns]", "parquet", "unit_price", "\n", "true", "#"];
    Target::new("mapping_files", &[files::PURCHASES, files::MEMBERS], words).run(files::mapping);
}

#[test]
fn rows_of_csv() {
    let words = &["\"", ",", "\r\n", "\n", "\"\"", "2011-12-09 12:50:00", "2011-12-09T12:50:00Z", "1e28", "\u{feff}"];
    Target::new("rows_of_csv", &[files::CSV, files::MEMBERS_CSV], words).run(files::rows("csv"));
}

#[test]
fn rows_of_compressed_csv() {
    let seeds = [files::compressed(files::CSV.as_bytes()), files::compressed(files::CSV.repeat(50).as_bytes())];
    Target::new("rows_of_compressed_csv", &seeds, &["\u{28}\u{b5}\u{2f}\u{fd}"]).run(files::rows("csv.zst"));
}

#[test]
fn rows_of_json_lines() {
    let words = &["{", "}", "\":", "\",\"", "null", "[", "\\u0000", "\\ud800", "1e400", "\n", "true"];
    Target::new("rows_of_json_lines", &[files::JSON_LINES], words).run(files::rows("jsonl"));
}

#[test]
fn rows_of_parquet() {
    let words = &["PAR1", "PARE", "\u{15}", "\u{1}", "\u{0}\u{0}\u{0}\u{7f}"];
    let target = Target::new("rows_of_parquet", &parquet_files::all(), words);
    Target { may_run_out: true, ..target }.run(files::rows("parquet"));
}

#[test]
fn program_files() {
    let seeds = [programs::GIFT_CLUB.to_owned(), programs::STRIDE.to_owned(), programs::gift_club_json()];
    Target::new("program_files", &seeds, programs::WORDS).run(programs::program_file);
}

#[test]
fn conditions() {
    Target::new("conditions", programs::CONDITIONS, programs::CEL_WORDS).run(programs::condition);
}

#[test]
fn activities() {
    Target::new("activities", programs::ACTIVITIES, programs::WORDS).run(programs::activity);
}

#[test]
fn proofs_of_transactions() {
    let seeds = proofs::documents();
    Target::new("proofs_of_transactions", &seeds, proofs::WORDS).run(proofs::document);
}

#[test]
fn signed_notes() {
    Target::new("signed_notes", &proofs::notes(), proofs::WORDS).run(proofs::note);
}

#[test]
fn tiles_of_the_log() {
    let mut target = Target::new("tiles_of_the_log", &proofs::tiles(), &[]);
    target.memory_bytes = 16 << 20;
    target.run(proofs::tile);
}

#[test]
fn stored_accounts() {
    Target::new("stored_accounts", &stored::accounts(), &[]).run(stored::account);
}

#[test]
fn stored_batches() {
    Target::new("stored_batches", &stored::batches(), &[]).run(stored::batch);
}

#[test]
fn receipts_and_profiles() {
    let seeds = stored::receipts();
    Target::new("receipts_and_profiles", &seeds, programs::WORDS).run(stored::receipt);
}

#[test]
fn ids_times_and_digests() {
    Target::new("ids_times_and_digests", texts::EXAMPLES, texts::WORDS).run(texts::short_text);
}

#[test]
fn cards_as_scanned() {
    Target::new("cards_as_scanned", &secrets::cards(), secrets::WORDS).run(secrets::card);
}

#[test]
fn vouchers_and_allowances() {
    Target::new("vouchers_and_allowances", &secrets::vouchers(), secrets::WORDS).run(secrets::signed);
}

#[test]
fn tokens_codes_and_cookies() {
    Target::new("tokens_codes_and_cookies", &secrets::credentials(), secrets::WORDS).run(secrets::credential);
}

#[test]
fn sealed_data() {
    Target::new("sealed_data", &secrets::sealed(), secrets::WORDS).run(secrets::open);
}

#[test]
fn entries_of_the_audit_log() {
    Target::new("entries_of_the_audit_log", &secrets::entries(), programs::WORDS).run(secrets::entry);
}

#[test]
fn addresses_and_proxies() {
    Target::new("addresses_and_proxies", edge::ADDRESSES, edge::WORDS).run(edge::address);
}

#[test]
fn uploads() {
    let words = &["PNG", "IHDR", "IEND", "PK\u{3}\u{4}", "PK\u{5}\u{6}", "RIFF", "WEBP", "VP8X", "../", "<svg", "JFIF"];
    Target::new("uploads", &edge::uploads(), words).run(edge::upload);
}

#[test]
fn forms_with_a_file() {
    Target::new("forms_with_a_file", &forms::uploads(), forms::FORM_WORDS).run(forms::upload);
}

#[test]
fn patches_of_profiles() {
    Target::new("patches_of_profiles", &forms::patches(), forms::PATCH_WORDS).run(forms::patch);
}

#[test]
fn signed_requests() {
    Target::new("signed_requests", &identity::signed_requests(), identity::WORDS).run(identity::signed_request);
}

#[test]
fn answers_of_passkeys() {
    Target::new("answers_of_passkeys", &identity::passkeys(), identity::WORDS).run(identity::passkey);
}

#[test]
fn answers_of_identity_providers() {
    let seeds = providers::conversations();
    Target::new("answers_of_identity_providers", &seeds, providers::WORDS).run(providers::answers);
}

#[test]
fn requests_of_programs() {
    let mut target = Target::new("requests_of_programs", &requests::of_programs(), requests::WORDS);
    // What is mostly held is the world: its store is made anew now and then.
    target.memory_bytes = 128 << 20;
    target.run(requests::answered());
}

#[test]
fn requests_of_browsers() {
    let mut target = Target::new("requests_of_browsers", &requests::of_browsers(), requests::WORDS);
    target.memory_bytes = 128 << 20;
    target.run(requests::answered());
}

/// What is refused at once is no example to be altered.
#[test]
fn examples_are_understood() {
    let all = |seeds: &[Vec<u8>], answer: fn(&[u8]) -> String, words: &str| {
        for seed in seeds {
            let answer = answer(seed);
            assert!(answer.contains(words), "{}: {answer}", text(seed));
        }
    };
    all(&forms::uploads(), forms::upload, "taken");
    all(&identity::signed_requests(), identity::signed_request, "signed");
    all(&identity::passkeys()[..1], identity::passkey, "registered;");
    all(&identity::passkeys()[1..], identity::passkey, "signed in by");
    all(&providers::conversations()[..2], providers::answers, "proved, two roles, true, true");
    for requests in [requests::of_programs(), requests::of_browsers()] {
        let understood = requests::understood(&requests);
        // Many name what this world does not have: a pool, a group, a supplier.
        assert!(understood * 5 > requests.len() * 2, "{understood} of {} requests", requests.len());
    }
}
