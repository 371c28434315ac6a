//! The commands that rows stand for.

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Arrival, Command, Refusal, RefusalCode};
use guerdon_core::members::Profile;
use guerdon_core::privacy::Keyring;
use guerdon_core::time::{EARLIEST, Timestamp};
use guerdon_store::EngineHandle;

use crate::purchases::Purchase;
use crate::run::{MemberDirectory, Step};

/// The idempotency key of an enrolment. It outlives the member's erasure, so it does not tell the number.
fn enrolment_key(keyring: &Keyring, number: &str) -> String {
    format!("import:{}", guerdon_core::hex::encode(&keyring.digest("import", number.as_bytes())))
}

fn enrol(
    engine: &EngineHandle,
    keyring: &Keyring,
    (row, id, at): (u64, MemberId, Timestamp),
    profile: &Profile,
) -> Step {
    let command = match &profile.external_id {
        Some(number) => Command::enrol(keyring, rand::random(), id, &enrolment_key(keyring, number), at, profile),
        None => Err(Refusal::new(RefusalCode::InvalidRequest, "`external_id` is empty")),
    };
    let command = command.and_then(|command| command.welcomed(&engine.program(), &Arrival::default()));
    Step { row: Some(row), what: "member", command: command.map(|command| command.from_channel("import")) }
}

/// The enrolment of a member.
pub(crate) fn member_step(engine: &EngineHandle, keyring: &Keyring, row: u64, profile: &Profile) -> Step {
    enrol(engine, keyring, (row, engine.new_member_id(), engine.now()), profile)
}

/// The commands of one purchase or return: its enrolment when the member is unknown, and the activity.
pub fn purchase_steps(
    engine: &EngineHandle,
    keyring: &Keyring,
    members: &mut MemberDirectory,
    purchase: Purchase,
    enrol_unknown: bool,
) -> Vec<Step> {
    let mut steps = Vec::with_capacity(2);
    let member = match members.get(&purchase.member) {
        Some(member) => member,
        None => {
            let id = engine.new_member_id();
            if enrol_unknown {
                members.insert(&purchase.member, id);
                let (external_id, country) = (Some(purchase.member.clone()), purchase.country.clone());
                let profile = Profile { external_id, country, ..Profile::default() };
                steps.push(enrol(engine, keyring, (purchase.row, id, purchase.at), &profile));
            }
            id
        }
    };
    let what = if purchase.activity.is_return() { "return" } else { "purchase" };
    let command =
        Command::record(&engine.program(), member, &purchase.key(), &purchase.activity, engine.now(), EARLIEST);
    let command = command.map(|command| command.from_channel("import").with_reference(Some(purchase.number.clone())));
    steps.push(Step { row: Some(purchase.row), what, command });
    steps
}
