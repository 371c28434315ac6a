//! Mapping files, and the rows of the files that are imported.

use std::path::PathBuf;

use guerdon_core::program::{Bundle, Program};
use guerdon_import::{Format, Kind, Mapping, Purchases, Source, read_members, read_purchases, read_rows};

use crate::{behaviour, programs, text};

pub const PURCHASES: &str = "kind = 'purchases'\nenrol_unknown_members = true\nskip_rows_without_member = true\n\
    return_prefix = 'C'\nstrip_member_suffix = '.0'\ntime_zone = 'Asia/Shanghai'\n[columns]\nactivity = 'no'\n\
    member = 'who'\ntime = 'at'\nquantity = 'n'\nunit_price = 'price'\ndescription = 'what'\n";
pub const MEMBERS: &str =
    "kind = 'members'\nformat = 'csv'\n[columns]\nexternal_id = 'no'\nname = 'who'\nbirth_date = 'at'\n";
pub const CSV: &str = "no,who,at,n,price,what\n536365,17850.0,2010-12-01 08:26:00,6,2.55,\"A \"\"mug\"\"\nof tin\"\n\
    536365,17850.0,2010-12-01 08:26:00,1,1E-2,CHRISTMAS\nC536379,14527,2010-12-01T09:41:00Z,-1,27.50,Discount\n\
    536380,,2010-12-01 09:41:00,24,1.65,\n";
pub const MEMBERS_CSV: &str = "at,no,who,n,price,what\n1990-05-17,17850.0,Ann,1,1,1\n,14527,,,,\n";
pub const JSON_LINES: &str = concat!(
    r#"{"no":"536365","who":"17850","at":"2010-12-01 08:26:00","n":6,"price":2.55,"what":"A \"mug\""}"#,
    "\n\n",
    r#"{"no":536366,"who":17850.0,"at":"2010-12-01T08:28:00+08:00","n":"1","price":null,"what":["x",{"y":true}]}"#,
    "\n",
);

pub fn mapping(input: &[u8]) -> String {
    behaviour(Mapping::parse(&text(input)), |mapping| format!("{:?} {:?}", mapping.kind, mapping.format))
}

pub fn compressed(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// Reads the input as a file of a kind, as purchases and as members.
pub fn rows(extension: &'static str) -> impl FnMut(&[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("rows.{extension}");
    let file: PathBuf = folder.path().join(&name);
    let program = program();
    let (purchases, members) = (Mapping::parse(PURCHASES).unwrap(), Mapping::parse(MEMBERS).unwrap());
    assert!((purchases.kind, members.kind) == (Kind::Purchases, Kind::Members));
    move |input| {
        // Kept alive by this closure.
        assert!(folder.path().is_dir());
        std::fs::write(&file, input).unwrap();
        let source = || Source::open(&file).unwrap();
        let found = behaviour(read_purchases(&program, &purchases, &source(), &|_| ()), |found| summary(&found));
        let members = Mapping { format: Some(Format::of(&name).unwrap()), ..members.clone() };
        let listed = behaviour(read_members(&members, &source(), &|_| ()), |listed| {
            let sound = listed.iter().filter(|(_, profile)| profile.validate().is_ok()).count();
            format!("{} members, sound: {}", listed.len().min(3), sound.min(3))
        });
        let columns =
            behaviour(read_rows(&source(), Format::of(&name).unwrap(), &[], &mut |_, _| Ok(())), |()| String::new());
        format!("{found}; {listed}; {columns}")
    }
}

fn summary(found: &Purchases) -> String {
    let problems: std::collections::BTreeSet<&str> =
        found.problems.iter().map(|problem| problem.reason.as_str()).collect();
    format!("{} purchases, {problems:?}", found.purchases.len().min(3))
}

fn program() -> Program {
    Program::from_documents(&Bundle::parse(programs::GIFT_CLUB).unwrap().documents().unwrap()).unwrap()
}
