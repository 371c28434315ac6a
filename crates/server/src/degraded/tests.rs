use guerdon_core::id::MemberId;
use guerdon_core::ledger::{Account, AccountStatus};
use guerdon_core::limits::{LAST_KNOWN_BYTES, LAST_KNOWN_MS};
use guerdon_core::time::Timestamp;
use guerdon_store::StoreError;

use super::accounts::Accounts;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const ANN: MemberId = MemberId(7);

fn account(version: i64) -> Account {
    Account { version, ..Account::default() }
}

#[test]
fn an_account_is_remembered_as_it_was_last_read_and_for_an_hour() {
    let accounts = Accounts::default();
    assert!(accounts.last(ANN, NOW).is_none());
    accounts.keep(ANN, ANN, &account(1), NOW, accounts.generation());
    accounts.keep(ANN, ANN, &account(1), NOW.plus_millis(5), accounts.generation());
    let seen = accounts.last(ANN, NOW.plus_millis(9)).unwrap();
    assert_eq!(
        (seen.value.account.version, seen.as_of),
        (1, Some(NOW.plus_millis(5))),
        "it was read again, and was the same"
    );
    accounts.keep(ANN, ANN, &account(2), NOW.plus_millis(7), accounts.generation());
    let seen = accounts.last(ANN, NOW.plus_millis(9)).unwrap();
    assert_eq!((seen.value.account.version, seen.as_of), (2, Some(NOW.plus_millis(7))));
    assert!(accounts.last(ANN, NOW.plus_millis(7 + LAST_KNOWN_MS)).is_some());
    assert!(accounts.last(ANN, NOW.plus_millis(8 + LAST_KNOWN_MS)).is_none(), "that is too long ago to be told");
}

#[test]
fn whoever_leaves_is_forgotten_also_by_a_read_that_began_before() {
    let accounts = Accounts::default();
    let before = accounts.generation();
    accounts.keep(ANN, ANN, &account(1), NOW, before);
    accounts.forget(&[ANN]);
    assert!(accounts.last(ANN, NOW).is_none());
    assert_eq!(accounts.weight(), 0, "it is out of memory");
    accounts.keep(ANN, ANN, &account(1), NOW, before);
    assert!(accounts.last(ANN, NOW).is_none(), "what was read before is not kept after");
    let closed = Account { status: AccountStatus::Closed { at: NOW }, ..account(2) };
    accounts.keep(ANN, ANN, &account(1), NOW, accounts.generation());
    accounts.keep(ANN, ANN, &closed, NOW, accounts.generation());
    assert!(accounts.last(ANN, NOW).is_none(), "another node has closed it");
}

#[test]
fn memory_is_bounded() {
    let accounts = Accounts::default();
    for id in 0..400_000 {
        accounts.keep(MemberId(id), MemberId(id), &account(1), NOW, 0);
    }
    let weight = accounts.weight();
    assert!(weight <= LAST_KNOWN_BYTES && weight > LAST_KNOWN_BYTES / 2, "{weight}");
}

mod with_a_store {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use axum::http::HeaderMap;
    use guerdon_core::identity::Permission;
    use guerdon_core::kernel::Command;
    use guerdon_core::members::Profile;
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};
    use guerdon_store::{Record, RecordChange};

    use super::*;
    use crate::AppState;
    use crate::degraded::Unanswered;
    use crate::identity::access::{Needs, Routes};
    use crate::identity::actor::Actor;
    use crate::identity::allowance::Allowance;
    use crate::identity::api_key::{API_KEY, ApiKey};
    use crate::identity::directory::{Presented, digest};
    use crate::identity::guard::{Admitted, Asked, Gate};
    use crate::identity::member_session;
    use crate::identity::operator::{OPERATOR, Operator, OperatorState};
    use crate::identity::session::{self, Session};
    use crate::identity::testing::{Scratch, scratch, state};
    use crate::messages::Post;

    fn served(scratch: &Scratch) -> AppState {
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        state(scratch, keyring, Post::default())
    }

    fn goes(state: &AppState) {
        state.degraded.found(Some(&StoreError::Disconnected("gone".to_owned())), state.clock());
    }

    fn comes(state: &AppState) {
        state.degraded.found(None, state.clock());
    }

    async fn enrolled(state: &AppState, key: &str) -> MemberId {
        let (id, now) = (state.engine.new_member_id(), state.engine.now());
        let enrol = Command::enrol(&state.keys(), rand::random(), id, key, now, &Profile::default()).unwrap();
        state.engine.submit_one(enrol).await.unwrap();
        id
    }

    #[tokio::test]
    async fn a_balance_is_told_from_memory_and_marked_until_the_member_leaves() {
        let scratch = scratch().await;
        let state = served(&scratch);
        let (ann, bob, cid) = (enrolled(&state, "a").await, enrolled(&state, "b").await, enrolled(&state, "c").await);
        let seen = state.degraded.account(&state, ann).await.unwrap().unwrap();
        assert!(seen.as_of.is_none(), "all is well");
        state.degraded.account(&state, bob).await.unwrap();
        assert!(state.degraded.account(&state, MemberId(1)).await.unwrap().is_none(), "there is no such member");

        goes(&state);
        let seen = state.degraded.account(&state, ann).await.unwrap().unwrap();
        assert!(seen.value.id == ann && seen.as_of.is_some());
        for unknown in [cid, MemberId(1)] {
            let Err(Unanswered::Away(problem)) = state.degraded.account(&state, unknown).await else { panic!() };
            assert_eq!((problem.status, problem.code.as_str(), problem.retry_after), (503, "not_remembered", Some(1)));
        }
        comes(&state);
        let close = Command::close(ann, "close", state.engine.now(), "moved away").unwrap();
        state.engine.submit_one(close).await.unwrap();
        goes(&state);
        assert!(state.degraded.account(&state, ann).await.is_err(), "who is closed is forgotten with the commit");
        assert!(state.degraded.account(&state, bob).await.is_ok(), "others are not");
        comes(&state);
        let erase = Command::erase(bob, "erase", state.engine.now()).unwrap();
        state.engine.submit_one(erase).await.unwrap();
        goes(&state);
        assert!(state.degraded.account(&state, bob).await.is_err(), "and who is erased");
    }

    #[tokio::test]
    async fn stock_is_as_it_was_read_last() {
        let scratch = scratch().await;
        let state = served(&scratch);
        goes(&state);
        assert!(state.degraded.stock(&state).await.is_err(), "nothing was read yet");
        comes(&state);
        let now = state.degraded.stock(&state).await.unwrap();
        assert!(now.as_of.is_none() && !now.value.is_empty());
        goes(&state);
        let then = state.degraded.stock_of(&state, &["voucher-5".to_owned()]).await.unwrap();
        assert!(then.as_of.is_some() && then.value.get("voucher-5") == now.value.get("voucher-5"));
        let stand = state.catalogue.stand(&state).await.unwrap();
        let figures = state.catalogue.seen(&state, &stand).await.unwrap();
        assert!(figures.as_of == then.as_of, "the catalogue is shown as nobody had looked at it before");
    }

    #[tokio::test]
    async fn a_read_that_waits_ends_when_the_database_is_found_away() {
        let scratch = scratch().await;
        let state = served(&scratch);
        let waiting = state.clone();
        let read = tokio::spawn(async move { waiting.degraded.read(std::future::pending::<Result<(), _>>()).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!read.is_finished());
        goes(&state);
        let ended = tokio::time::timeout(Duration::from_secs(1), read).await.unwrap().unwrap();
        assert!(ended.unwrap().is_none());
        comes(&state);
        let broken = state.degraded.read(async { Err::<(), _>(StoreError::Disconnected("reset".to_owned())) }).await;
        assert!(broken.unwrap().is_none(), "a connection that broke is no answer");
        let wrong = state.degraded.read(async { Err::<(), _>(StoreError::Rejected("a defect".to_owned())) }).await;
        assert!(wrong.is_err(), "a defect is told as one");
    }

    fn key(permission: Permission) -> (String, RecordChange) {
        let secret = format!("grd_key_{permission}");
        let key = ApiKey {
            name: "till".to_owned(),
            prefix: String::new(),
            allowance: Allowance::parse(&[permission.name()], Vec::new(), &[], None).unwrap(),
            signing: None,
            created_at: NOW,
            created_by: String::new(),
            holders: Vec::new(),
            rotated_at: None,
        };
        let id = guerdon_core::hex::encode(&digest(&secret));
        (secret, RecordChange::Put(Record::new(API_KEY, &id, "key_till", &key).unwrap()))
    }

    async fn admit(gate: &Gate, needs: Needs, presented: Presented) -> Result<Admitted, ()> {
        let address = IpAddr::from([192, 0, 2, 1]);
        let asked = Asked { needs, address, presented: Some(presented), suspicious: false };
        gate.admit(asked).await.map_err(drop)
    }

    #[tokio::test]
    async fn a_key_that_was_verified_lately_does_no_more_than_before_and_only_until_it_is_revoked() {
        let scratch = scratch().await;
        let state = served(&scratch);
        let (secret, change) = key(Permission::RewardsRead);
        state.engine.write_records(vec![change], Vec::new()).await.unwrap();
        let gate = Gate { state: state.clone(), routes: Routes::default() };
        let (shown, other) = (Presented::bearer(&secret), Presented::bearer("grd_key_other"));
        let read = Needs::Permission(Permission::RewardsRead);
        assert!(!admit(&gate, read, shown).await.unwrap().from_memory);
        state.directory.forget_known();

        goes(&state);
        assert!(admit(&gate, read, shown).await.unwrap().from_memory, "it is told that it was not looked up");
        assert!(admit(&gate, Needs::Permission(Permission::MembersRead), shown).await.is_err(), "it never might");
        assert!(admit(&gate, read, other).await.is_err());
        let here = IpAddr::from([192, 0, 2, 1]);
        let found = state.directory.identify(&state, shown, here).await.unwrap();
        assert!(found.is_none(), "whoever asks beside the gate is told of nobody");

        comes(&state);
        state.directory.forget_program("key_other");
        state.directory.forget_operators();
        goes(&state);
        assert!(admit(&gate, read, shown).await.unwrap().from_memory, "what concerns others leaves it alone");
        comes(&state);
        state.directory.forget_program("key_till");
        goes(&state);
        assert!(admit(&gate, read, shown).await.is_err(), "a revocation on this node holds at once");
    }

    #[tokio::test]
    async fn sessions_of_members_are_taken_and_those_of_operators_are_not() {
        let scratch = scratch().await;
        let state = served(&scratch);
        let gate = Gate { state: state.clone(), routes: Routes::default() };
        let mut begun = Vec::new();
        for subject in ["mem_0000000000001", "mem_0000000000002", "opr_1"] {
            let made = Session::new("code", "192.0.2.1", &HeaderMap::new(), state.clock());
            let session::Begun { token, change } = session::begin(subject, &made).unwrap();
            state.engine.write_records(vec![change], Vec::new()).await.unwrap();
            begun.push(digest(token.reveal()));
        }
        let (ann, bob) = (Presented::MemberSession(begun[0]), Presented::MemberSession(begun[1]));
        let operator = Operator { state: OperatorState::Active, ..Operator::invited("a@b.org", "A", Vec::new(), NOW) };
        let record = Record::new(OPERATOR, "opr_1", "", &operator).unwrap();
        state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await.unwrap();
        let of_operator = Presented::OperatorSession(begun[2]);
        for (needs, presented) in [(Needs::Member, ann), (Needs::Member, bob), (Needs::Operator, of_operator)] {
            admit(&gate, needs, presented).await.unwrap();
        }
        // One of them signs out; the other is not concerned.
        member_session::end_all(&state, &Actor::system(), MemberId(1), &[], "").await.unwrap();
        state.directory.forget_known();
        goes(&state);
        assert!(admit(&gate, Needs::Member, ann).await.is_err(), "the session has ended");
        assert!(admit(&gate, Needs::Member, bob).await.unwrap().from_memory);
        assert!(admit(&gate, Needs::Operator, of_operator).await.is_err());
    }
}
