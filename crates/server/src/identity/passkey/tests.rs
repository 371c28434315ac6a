use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const ORIGIN: &str = "https://loyalty.example.com";
const OWNER: PasskeyOwner<'static> = PasskeyOwner { id: "op_1", account: "ann@example.com", name: "Ann" };

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;

/// An authenticator and the browser before it, as WebAuthn Level 3 describes them; attestation `none`.
#[derive(Clone)]
struct Device {
    key: SigningKey,
    id: [u8; 32],
    counter: u32,
    flags: u8,
    origin: &'static str,
}

impl Device {
    fn new(seed: u8) -> Self {
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        Self { key, id: [seed; 32], counter: 0, flags: PRESENT | VERIFIED, origin: ORIGIN }
    }

    fn create(&self, options: &Value) -> String {
        let point = self.key.verifying_key().to_sec1_point(false);
        let mut data = self.authenticator_data(&options["publicKey"]["rp"]["id"], self.flags | ATTESTED);
        data.extend([0; 16]);
        data.extend([0, 32]);
        data.extend(self.id);
        // {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(point.x().unwrap());
        data.extend([0x22, 0x58, 0x20]);
        data.extend(point.y().unwrap());
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(&data);
        let response = json!({
            "clientDataJSON": text(self.client_data("webauthn.create", options).as_bytes()),
            "attestationObject": text(&object),
            "transports": ["internal", "hybrid"],
        });
        self.credential(response)
    }

    fn get(&mut self, options: &Value) -> String {
        if self.counter > 0 {
            self.counter += 1;
        }
        let data = self.authenticator_data(&options["publicKey"]["rpId"], self.flags);
        let client_data = self.client_data("webauthn.get", options);
        let signed = [data.as_slice(), &Sha256::digest(&client_data)].concat();
        let signature: Signature = self.key.sign(&signed);
        let response = json!({
            "clientDataJSON": text(client_data.as_bytes()),
            "authenticatorData": text(&data),
            "signature": text(signature.to_der().as_bytes()),
            "userHandle": null,
        });
        self.credential(response)
    }

    fn authenticator_data(&self, host: &Value, flags: u8) -> Vec<u8> {
        let host: [u8; 32] = Sha256::digest(host.as_str().unwrap()).into();
        [host.as_slice(), &[flags], &self.counter.to_be_bytes()].concat()
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        let challenge = &options["publicKey"]["challenge"];
        json!({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false}).to_string()
    }

    fn credential(&self, response: Value) -> String {
        let id = text(&self.id);
        json!({"id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {}})
            .to_string()
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn passkeys() -> Passkeys {
    Passkeys::new(&Url::parse(ORIGIN).unwrap(), "Aurora", &[9; 32]).unwrap()
}

/// Through JSON and back, as a record does it.
fn stored<T: Serialize + for<'de> Deserialize<'de>>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

fn register(device: &Device) -> StoredPasskey {
    let (options, state) = passkeys().begin_registration(OWNER, &[]).unwrap();
    stored(&passkeys().finish_registration(&device.create(&options), &stored(&state), "Phone", NOW).unwrap())
}

fn sign_in(device: &mut Device, keys: &mut [StoredPasskey], now: Timestamp) -> Result<usize, PasskeyError> {
    let (options, state) = passkeys().begin_authentication("ann@example.com", keys).unwrap();
    passkeys().finish_authentication(&device.get(&options), &stored(&state), keys, now)
}

#[test]
fn a_passkey_is_registered_and_signs_in() {
    let (options, state) = passkeys().begin_registration(OWNER, &[]).unwrap();
    assert_eq!(options["publicKey"]["rp"]["id"], "loyalty.example.com");
    assert_eq!(options["publicKey"]["rp"]["name"], "Aurora");
    assert_eq!(options["publicKey"]["authenticatorSelection"]["userVerification"], "required");
    let mut device = Device::new(1);
    let answer = device.create(&options);
    let passkey = passkeys().finish_registration(&answer, &stored(&state), "  Phone\n of Ann ", NOW).unwrap();
    assert_eq!((passkey.label.as_str(), passkey.id()), ("Phone of Ann", text(&[1; 32])));
    assert_eq!((passkey.registered_at, passkey.last_used_at), (NOW, None));

    let mut keys = [register(&Device::new(2)), stored(&passkey)];
    assert_eq!(sign_in(&mut device, &mut keys, NOW.plus_millis(5)).unwrap(), 1);
    assert_eq!(keys[1].last_used_at, Some(NOW.plus_millis(5)));
    assert_eq!(keys[0].last_used_at, None);
}

#[test]
fn each_challenge_is_another_and_an_answer_fits_only_its_own() {
    let mut device = Device::new(1);
    let mut keys = [register(&device)];
    let (first, first_state) = passkeys().begin_authentication("ann", &keys).unwrap();
    let (second, second_state) = passkeys().begin_authentication("ann", &keys).unwrap();
    let answer = device.get(&first);
    assert!(matches!(
        passkeys().finish_authentication(&answer, &second_state, &mut keys, NOW),
        Err(PasskeyError::Refused(WebauthnError::MismatchedChallenge))
    ));
    assert_ne!(first["publicKey"]["challenge"], second["publicKey"]["challenge"]);
    assert!(passkeys().finish_authentication(&answer, &first_state, &mut keys, NOW).is_ok());

    let (_, state) = passkeys().begin_registration(OWNER, &[]).unwrap();
    let (other, _) = passkeys().begin_registration(OWNER, &[]).unwrap();
    assert!(passkeys().finish_registration(&device.create(&other), &state, "", NOW).is_err());
}

#[test]
fn the_person_must_be_verified() {
    let mut device = Device::new(1);
    let mut keys = [register(&device)];
    device.flags = PRESENT;
    assert!(matches!(sign_in(&mut device, &mut keys, NOW), Err(PasskeyError::Refused(WebauthnError::UserNotVerified))));
    let (options, state) = passkeys().begin_registration(OWNER, &[]).unwrap();
    assert!(passkeys().finish_registration(&device.create(&options), &state, "", NOW).is_err());
}

#[test]
fn another_site_or_key_is_refused() {
    let mut device = Device::new(1);
    let mut keys = [register(&device)];
    device.origin = "https://loyalty.example.com.evil.example";
    assert!(matches!(sign_in(&mut device, &mut keys, NOW), Err(PasskeyError::Refused(WebauthnError::InvalidRPOrigin))));
    device.origin = ORIGIN;
    device.key = SigningKey::from_slice(&[3; 32]).unwrap();
    assert!(matches!(sign_in(&mut device, &mut keys, NOW), Err(PasskeyError::Refused(_))));
    assert!(matches!(sign_in(&mut Device::new(4), &mut keys, NOW), Err(PasskeyError::Refused(_))));
}

#[test]
fn a_counter_that_goes_back_shows_a_copy() {
    let mut device = Device::new(1);
    device.counter = 5;
    let mut keys = [register(&device)];
    let mut copy = device.clone();
    assert!(sign_in(&mut device, &mut keys, NOW).is_ok());
    assert!(matches!(sign_in(&mut copy, &mut keys, NOW), Err(PasskeyError::Copied)));
    assert!(sign_in(&mut device, &mut keys, NOW).is_ok());
}

#[test]
fn the_backup_state_is_kept_up_to_date() {
    let mut device = Device::new(1);
    device.flags |= BACKUP_ELIGIBLE;
    let mut keys = [register(&device)];
    let before = serde_json::to_value(&keys[0]).unwrap();
    device.flags |= BACKED_UP;
    assert!(sign_in(&mut device, &mut keys, NOW).is_ok());
    let after = serde_json::to_value(&keys[0]).unwrap();
    assert_eq!(before["key"]["cred"]["backup_state"], false);
    assert_eq!(after["key"]["cred"]["backup_state"], true);
}

#[test]
fn the_same_device_is_not_registered_twice_and_none_beyond_twenty() {
    let device = Device::new(1);
    let existing = register(&device);
    let (options, state) = passkeys().begin_registration(OWNER, std::slice::from_ref(&existing)).unwrap();
    assert_eq!(options["publicKey"]["excludeCredentials"][0]["id"], existing.id());
    let answer = passkeys().finish_registration(&device.create(&options), &state, "", NOW);
    assert!(matches!(answer, Err(PasskeyError::AlreadyRegistered)), "{answer:?}");
    let many = vec![existing; MOST_PASSKEYS];
    assert!(matches!(passkeys().begin_registration(OWNER, &many), Err(PasskeyError::TooMany)));
}

#[test]
fn a_passkey_removed_meanwhile_does_not_sign_in() {
    let mut device = Device::new(1);
    let keys = [register(&device)];
    let (options, state) = passkeys().begin_authentication("ann", &keys).unwrap();
    let answer = passkeys().finish_authentication(&device.get(&options), &state, &mut [], NOW);
    assert!(matches!(answer, Err(PasskeyError::Refused(WebauthnError::CredentialNotFound))));
}

#[test]
fn who_asks_does_not_learn_which_accounts_there_are() {
    let keys = [register(&Device::new(1))];
    let (real, _) = passkeys().begin_authentication("ann", &keys).unwrap();
    for n in 0..50 {
        let account = format!("nobody{n}");
        let (decoy, state) = passkeys().begin_authentication(&account, &[]).unwrap();
        let shape = |options: &Value| -> Vec<String> {
            let all = options["publicKey"].as_object().unwrap().keys().cloned();
            all.chain(options["publicKey"]["allowCredentials"][0].as_object().unwrap().keys().cloned()).collect()
        };
        assert_eq!(shape(&decoy), shape(&real));
        let (again, _) = passkeys().begin_authentication(&account.to_uppercase(), &[]).unwrap();
        assert_eq!(decoy["publicKey"]["allowCredentials"], again["publicKey"]["allowCredentials"]);
        assert_ne!(decoy["publicKey"]["challenge"], again["publicKey"]["challenge"]);
        let answer = passkeys().finish_authentication(&Device::new(1).get(&decoy), &state, &mut [], NOW);
        assert!(matches!(answer, Err(PasskeyError::Refused(_))));
    }
}

#[test]
fn what_is_no_answer_is_malformed() {
    let (_, state) = passkeys().begin_registration(OWNER, &[]).unwrap();
    for answer in ["", "null", "{}", "[1]", &format!("\"{}\"", "x".repeat(MOST_ANSWER_BYTES))] {
        let error = passkeys().finish_registration(answer, &state, "", NOW).unwrap_err();
        assert!(matches!(error, PasskeyError::Malformed), "{error:?}");
    }
}

#[test]
fn a_public_url_needs_a_host_name() {
    let open = |url: &str| Passkeys::new(&Url::parse(url).unwrap(), "Aurora", &[9; 32]).map(|_| ());
    assert!(matches!(open("https://192.0.2.1/"), Err(PasskeyError::NoHostName)));
    assert!(matches!(open("https://[2001:db8::1]/"), Err(PasskeyError::NoHostName)));
    assert!(open("http://localhost:8080").is_ok());
}

#[test]
fn the_handle_that_a_device_keeps_names_nobody() {
    let (options, _) = passkeys().begin_registration(OWNER, &[]).unwrap();
    let (again, _) = passkeys().begin_registration(OWNER, &[]).unwrap();
    assert_eq!(options["publicKey"]["user"]["id"], again["publicKey"]["user"]["id"]);
    assert_ne!(handle("op_1"), handle("op_2"));
}
