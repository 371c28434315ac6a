//! The waiting room of a flash sale: places in the order of arrival, each with the moment at which its member is let in; the
//! token that proves a place; and the puzzle that a place costs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::WaitingRoom;
use crate::id::MemberId;
use crate::limits;
use crate::privacy::Keyring;
use crate::time::{Calendar, Timestamp};

/// What tokens begin with: the form of what follows.
const FORM: u8 = 1;
/// Bytes of the keyed digest at the end.
const MAC_BYTES: usize = 32;
/// Keep these digests apart from others of the keyring.
const TICKETS: &str = "waiting room ticket";
const PUZZLES: &str = "waiting room puzzle";
const MINUTE_MS: i64 = 60_000;
const SECOND_US: i64 = 1_000_000;
/// For how long a puzzle is taken, at the least; twice as long at the most.
const PUZZLE_MS: i64 = 5 * MINUTE_MS;

/// A waiting room, ready to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// From when on places are given.
    pub queue_from: Timestamp,
    /// From when on members are let in, and an order needs a place.
    pub opens_at: Timestamp,
    /// From when on it needs none any more; [`Timestamp::NEVER`]: it always does.
    pub closes_at: Timestamp,
    /// Time between two members who are let in, in microseconds.
    pub interval_us: i64,
    /// For how long whoever was let in may order, in milliseconds.
    pub admitted_ms: i64,
    /// Leading bits of a solution's digest that are zero.
    pub difficulty: u32,
}

/// How far the places of a room are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// How many places were given.
    pub given: i64,
    /// When the next one is let in at the earliest, in microseconds since 1970-01-01.
    pub next_us: i64,
}

/// A place in a waiting room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its number, in the order of arrival, from 1.
    pub number: i64,
    /// When its member is let in.
    pub admitted_at: Timestamp,
}

/// A place that a token proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Whose.
    pub member_id: MemberId,
    /// For which reward.
    pub reward_id: String,
    /// When the room opens: a later room of the same reward takes no old places.
    pub opens_at: Timestamp,
    /// The place.
    pub place: Place,
}

/// Why an order is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// It brings no place in this room.
    NoPlace,
    /// It is let in later.
    Until(Timestamp),
    /// It was let in until a moment that has passed.
    TooLate(Timestamp),
}

impl Room {
    pub(super) fn compile(room: &WaitingRoom, calendar: &Calendar) -> Self {
        let opens_at = calendar.instant_of(room.from);
        // Rounded up: never more than that many in a second.
        let per_second = room.admit_per_second.max(1);
        Self {
            queue_from: opens_at.plus_millis(-room.queue_minutes.saturating_mul(MINUTE_MS)),
            opens_at,
            closes_at: room.to.map_or(Timestamp::NEVER, |to| calendar.instant_of(to)),
            interval_us: (SECOND_US + per_second - 1) / per_second,
            admitted_ms: room.admitted_minutes.saturating_mul(MINUTE_MS),
            difficulty: room.difficulty,
        }
    }

    /// Whether places are given.
    pub fn is_queueing(&self, at: Timestamp) -> bool {
        self.queue_from <= at && at < self.closes_at
    }

    /// Whether an order needs a place.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.opens_at <= at && at < self.closes_at
    }

    /// Gives the next place: behind all that were given, not before the room opens, and not before now. Nobody who comes later
    /// is let in earlier, and no two closer together than the interval.
    pub fn give(&self, line: &mut Line, now: Timestamp) -> Place {
        let earliest = self.opens_at.max(now).as_millis().saturating_mul(1_000);
        let admitted_us = line.next_us.max(earliest);
        line.next_us = admitted_us.saturating_add(self.interval_us);
        line.given = line.given.saturating_add(1);
        // Rounded up to whole milliseconds: never early.
        Place { number: line.given, admitted_at: Timestamp::from_millis(admitted_us.saturating_add(999) / 1_000) }
    }

    /// Until when a place is good.
    pub fn good_until(&self, place: &Place) -> Timestamp {
        place.admitted_at.plus_millis(self.admitted_ms)
    }

    /// How many are let in before a place, and in how many milliseconds it is its turn.
    pub fn ahead(&self, place: &Place, now: Timestamp) -> (i64, i64) {
        let wait_ms = place.admitted_at.as_millis().saturating_sub(now.as_millis()).max(0);
        let queued_us =
            place.admitted_at.as_millis().saturating_sub(now.max(self.opens_at).as_millis()).saturating_mul(1_000);
        let ahead =
            (queued_us.max(0).saturating_add(self.interval_us - 1) / self.interval_us.max(1)).min(place.number - 1);
        (ahead.max(0), wait_ms)
    }

    /// Whether a ticket lets its member order at a moment.
    pub fn admits(
        &self,
        ticket: Option<&Ticket>,
        (member, reward): (MemberId, &str),
        at: Timestamp,
    ) -> Result<(), Waits> {
        let own = |ticket: &&Ticket| {
            ticket.member_id == member && ticket.reward_id == reward && ticket.opens_at == self.opens_at
        };
        let Some(Ticket { place, .. }) = ticket.filter(own) else { return Err(Waits::NoPlace) };
        let until = self.good_until(place);
        match at {
            at if at < place.admitted_at => Err(Waits::Until(place.admitted_at)),
            at if at >= until => Err(Waits::TooLate(until)),
            _ => Ok(()),
        }
    }
}

impl Ticket {
    /// The token: URL-safe base64, without padding, of the form, the ticket in postcard and a keyed digest of both. All nodes
    /// share the key.
    pub fn seal(&self, keyring: &Keyring) -> String {
        let mut bytes = postcard::to_extend(self, vec![FORM]).unwrap_or_default();
        bytes.extend(keyring.digest(TICKETS, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a token. `None`: it is none that the program has made.
    pub fn open(keyring: &Keyring, token: &str) -> Option<Self> {
        let token = Some(token).filter(|token| token.len() <= limits::TICKET_CHARS)?;
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (signed, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
        let payload = signed.strip_prefix(&[FORM]).filter(|_| keyring.is_digest(TICKETS, signed, mac))?;
        postcard::from_bytes(payload).ok()
    }
}

/// What a place costs: a text for which a number is to be found, so that the SHA-256 of both begins with zero bits. Making it
/// takes long, checking it no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Puzzle {
    /// The text.
    pub challenge: String,
    /// How many bits.
    pub difficulty: u32,
}

impl Puzzle {
    /// The puzzle of a member for a room at a moment. It is another for each member and every few minutes, and nobody knows
    /// it before.
    pub fn of(keyring: &Keyring, room: &Room, (member, reward): (MemberId, &str), at: Timestamp) -> Self {
        Self::in_slot(keyring, room, (member, reward), at.as_millis().div_euclid(PUZZLE_MS))
    }

    fn in_slot(keyring: &Keyring, room: &Room, (member, reward): (MemberId, &str), slot: i64) -> Self {
        let about = format!("{} {} {member} {reward}", slot, room.opens_at.as_millis());
        let digest = keyring.digest(PUZZLES, about.as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default());
        Self { challenge, difficulty: room.difficulty }
    }

    /// Whether a number solves the puzzle of a member: the one of now, or the one before it.
    pub fn is_solved(keyring: &Keyring, room: &Room, who: (MemberId, &str), at: Timestamp, nonce: u64) -> bool {
        let slot = at.as_millis().div_euclid(PUZZLE_MS);
        [slot, slot - 1].into_iter().any(|slot| Self::in_slot(keyring, room, who, slot).solves(nonce))
    }

    /// Whether a number solves it: SHA-256 of `<challenge>:<number in decimal digits>` begins with so many zero bits.
    pub fn solves(&self, nonce: u64) -> bool {
        leading_zeros(&Sha256::digest(format!("{}:{nonce}", self.challenge))) >= self.difficulty
    }

    /// The first number that solves it, for tests and for clients in Rust.
    pub fn solve(&self) -> u64 {
        (0..u64::MAX).find(|nonce| self.solves(*nonce)).unwrap_or_default()
    }
}

fn leading_zeros(digest: &[u8]) -> u32 {
    let mut zeros = 0;
    for byte in digest {
        zeros += byte.leading_zeros();
        if *byte != 0 {
            break;
        }
    }
    zeros
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(per_second: i64) -> Room {
        let text = format!("from = \"2026-12-01T10:00\"\nadmit_per_second = {per_second}");
        let written: WaitingRoom = toml::from_str(&text).unwrap();
        Room::compile(&written, &Calendar::new("UTC").unwrap())
    }

    #[test]
    fn places_are_let_in_in_order_and_never_faster_than_said() {
        let room = room(3);
        let (opens, mut line) = (room.opens_at, Line::default());
        let early = opens.plus_millis(-60_000);
        let first: Vec<Place> = (0..7).map(|_| room.give(&mut line, early)).collect();
        let offsets: Vec<i64> = first.iter().map(|place| place.admitted_at.as_millis() - opens.as_millis()).collect();
        // 333,334 µs apart, rounded up to milliseconds.
        assert_eq!(offsets, [0, 334, 667, 1_001, 1_334, 1_667, 2_001]);
        assert_eq!(first.iter().map(|place| place.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        // Nobody came for a while: what was not used is not caught up with.
        let later = opens.plus_millis(60_000);
        let place = room.give(&mut line, later);
        assert_eq!((place.number, place.admitted_at), (8, later));
        assert_eq!(room.give(&mut line, later).admitted_at, later.plus_millis(334));
        assert_eq!(room.ahead(&first[6], early), (6, 62_001));
        assert_eq!(room.ahead(&first[6], opens.plus_millis(1_000)), (4, 1_001));
        assert_eq!(room.ahead(&first[6], later), (0, 0));
    }

    #[test]
    fn a_ticket_lets_its_member_in_for_its_time() {
        let room = room(1);
        let place = Place { number: 4, admitted_at: room.opens_at.plus_millis(3_000) };
        let ticket = Ticket { member_id: MemberId(7), reward_id: "lamp".to_owned(), opens_at: room.opens_at, place };
        let at = |seconds: i64| room.opens_at.plus_millis(seconds * 1_000);
        let own = (MemberId(7), "lamp");
        assert_eq!(room.admits(None, own, at(5)), Err(Waits::NoPlace));
        assert_eq!(room.admits(Some(&ticket), (MemberId(8), "lamp"), at(5)), Err(Waits::NoPlace));
        assert_eq!(room.admits(Some(&ticket), (MemberId(7), "cup"), at(5)), Err(Waits::NoPlace));
        assert_eq!(room.admits(Some(&ticket), own, at(2)), Err(Waits::Until(at(3))));
        assert_eq!(
            [room.admits(Some(&ticket), own, at(3)), room.admits(Some(&ticket), own, at(602))],
            [Ok(()), Ok(())]
        );
        assert_eq!(room.admits(Some(&ticket), own, at(603)), Err(Waits::TooLate(at(603))));
    }

    #[test]
    fn zeros_are_counted_bit_by_bit() {
        assert_eq!([leading_zeros(&[0xff]), leading_zeros(&[0x01, 0xff]), leading_zeros(&[0, 0, 0x10])], [0, 7, 19]);
        let puzzle = Puzzle { challenge: "abc".to_owned(), difficulty: 12 };
        let nonce = puzzle.solve();
        assert!(puzzle.solves(nonce) && (0..nonce).all(|earlier| !puzzle.solves(earlier)));
    }
}
