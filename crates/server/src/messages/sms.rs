//! Text messages by the HTTP gateway of any provider that takes a JSON body.

use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::{Message, SendError, Sender, Sending};
use crate::outbound::{Outbound, OutboundError};

/// Longest template of a body, in bytes.
const TEMPLATE_BYTES: usize = 10_000;
/// The body when none is given.
const TEMPLATE: &str = r#"{"to": "{to}", "text": "{text}"}"#;

/// Where and how text messages are sent.
pub struct SmsSettings {
    url: Url,
    template: Value,
    header: HeaderName,
    secret: Option<HeaderValue>,
}

impl SmsSettings {
    /// A gateway that takes `POST` with a JSON body. In the texts of `template`, `{to}` and `{text}` are replaced;
    /// `{"to": "{to}", "text": "{text}"}` when it is left out.
    pub fn parse(url: &str, template: Option<&str>) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("the address of the SMS gateway cannot be read: {error}"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err("the address of the SMS gateway must begin with https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the address of the SMS gateway holds a user or password: give GUERDON_SMS_SECRET, or \
                        GUERDON_SMS_SECRET_FILE"
                .to_owned());
        }
        let template = template.unwrap_or(TEMPLATE);
        if template.len() > TEMPLATE_BYTES {
            return Err(format!("the body of the SMS gateway is longer than {TEMPLATE_BYTES} bytes"));
        }
        if !template.contains("{to}") || !template.contains("{text}") {
            return Err("the body of the SMS gateway must name {to} and {text}".to_owned());
        }
        let template = serde_json::from_str(template)
            .map_err(|error| format!("the body of the SMS gateway is no JSON such as {TEMPLATE}: {error}"))?;
        Ok(Self { url, template, header: header::AUTHORIZATION, secret: None })
    }

    /// With a secret: `Authorization: Bearer <secret>`, or alone in a header of that name.
    pub fn with_secret(self, header: Option<&str>, secret: &Zeroizing<String>) -> Result<Self, String> {
        let (header, value) = match header {
            None => (header::AUTHORIZATION, Zeroizing::new(format!("Bearer {}", secret.as_str()))),
            Some(name) => {
                let name = name.parse().map_err(|_| format!("`{name}` is no name of a header"))?;
                (name, secret.clone())
            }
        };
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| "the secret of the SMS gateway holds characters that a header cannot".to_owned())?;
        value.set_sensitive(true);
        Ok(Self { header, secret: Some(value), ..self })
    }
}

/// Sends text messages by an HTTP gateway.
pub struct SmsGateway {
    settings: SmsSettings,
    outbound: Outbound,
}

impl SmsGateway {
    /// A sender that calls by the guarded client.
    pub fn new(settings: SmsSettings, outbound: Outbound) -> Self {
        Self { settings, outbound }
    }

    fn request(&self, message: &Message) -> Result<Request<Vec<u8>>, SendError> {
        let unfit = || SendError::Permanent("the message cannot be put into a request".to_owned());
        let body = filled(&self.settings.template, message.to.as_str(), &message.text);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.settings.url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json");
        if let Some(secret) = &self.settings.secret {
            request = request.header(&self.settings.header, secret);
        }
        request.body(serde_json::to_vec(&body).map_err(|_| unfit())?).map_err(|_| unfit())
    }
}

/// The template with its places filled. They are filled in the parsed texts: no text can break out of its quotes.
fn filled(template: &Value, to: &str, text: &str) -> Value {
    match template {
        Value::String(pattern) => {
            // In one pass over the pattern, so that a `{to}` within the text stays as it is.
            let mut parts = pattern.split("{text}").map(|part| part.replace("{to}", to));
            let first = parts.next().unwrap_or_default();
            Value::String(parts.fold(first, |done, part| done + text + &part))
        }
        Value::Array(items) => items.iter().map(|item| filled(item, to, text)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), filled(value, to, text)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

impl Sender for SmsGateway {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(async move {
            let answer = self.outbound.send(self.request(message)?).await;
            let status = answer.map_err(|error| why(&error))?.status();
            if status.is_success() {
                return Ok(());
            }
            let reason = format!("the SMS gateway answered with status {}", status.as_u16());
            // Too many and a time-out pass; every other 4xx says that this request is wrong and stays so.
            if status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429) {
                return Err(SendError::Permanent(reason));
            }
            Err(SendError::Temporary(reason))
        })
    }
}

/// What may not be called now may not be called later.
fn why(error: &OutboundError) -> SendError {
    match error {
        OutboundError::Forbidden(_) | OutboundError::InvalidUrl(_) => SendError::Permanent(error.to_string()),
        _ => SendError::Temporary(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode, Uri};
    use serde_json::json;

    use super::*;
    use crate::edge::parse_networks;
    use crate::messages::Address;
    use crate::outbound::OutboundOptions;

    type Request = (Uri, HeaderMap, Bytes);

    /// A gateway that answers with a status and repeats the number; keeps the request.
    #[derive(Clone)]
    struct Gateway(StatusCode, Arc<Mutex<Option<Request>>>);

    impl Gateway {
        async fn start(status: u16) -> (Self, String) {
            let gateway = Self(status.try_into().unwrap(), Arc::default());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let app = Router::new().fallback(Self::take).with_state(gateway.clone());
            tokio::spawn(axum::serve(listener, app).into_future());
            (gateway, url)
        }

        async fn take(State(gateway): State<Self>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
            *gateway.1.lock().unwrap() = Some((uri, headers, body));
            (gateway.0, "+442079460000 is unknown".to_owned())
        }
    }

    fn message(text: &str) -> Message {
        let to = Address::phone("+44 20 7946 0000").unwrap();
        Message { kind: "code", to, subject: String::new(), text: text.to_owned(), html: None }
    }

    fn outbound() -> Outbound {
        let private_networks = parse_networks("127.0.0.0/8").unwrap();
        let plain_hosts = vec!["127.0.0.1".to_owned()];
        Outbound::new(OutboundOptions { private_networks, plain_hosts, ..OutboundOptions::default() })
    }

    #[tokio::test]
    async fn the_body_is_the_template_and_nothing_breaks_out_of_it() {
        let template = r#"{"messages": [{"destination": "tel:{to}", "body": "{text} ({to})"}], "priority": 1}"#;
        let (gateway, url) = Gateway::start(202).await;
        let settings = SmsSettings::parse(&format!("{url}/v1/send?route=2"), Some(template)).unwrap();
        let secret = Zeroizing::new("s3cret".to_owned());
        let settings = settings.with_secret(None, &secret).unwrap();
        let text = "042 \", \"to\": \"+1{to}\\ 您好";
        assert_eq!(SmsGateway::new(settings, outbound()).send(&message(text)).await, Ok(()));
        let (uri, headers, body) = gateway.1.lock().unwrap().take().unwrap();
        assert_eq!(uri, "/v1/send?route=2");
        assert_eq!(headers["authorization"], "Bearer s3cret");
        assert_eq!(headers["content-type"], "application/json");
        let body: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({ "messages": [{ "destination": "tel:+442079460000",
            "body": format!("{text} (+442079460000)") }], "priority": 1 });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn what_the_gateway_answers_decides_whether_to_try_again() {
        for (status, again) in
            [(400, false), (401, false), (404, false), (429, true), (408, true), (500, true), (302, true)]
        {
            let (gateway, url) = Gateway::start(status).await;
            let secret = Zeroizing::new("k".to_owned());
            let settings = SmsSettings::parse(&url, None).unwrap().with_secret(Some("X-Api-Key"), &secret).unwrap();
            let error = SmsGateway::new(settings, outbound()).send(&message("hello")).await.unwrap_err();
            assert_eq!(gateway.1.lock().unwrap().as_ref().unwrap().1["x-api-key"], "k");
            assert_eq!(matches!(error, SendError::Temporary(_)), again, "{status}");
            assert_eq!(error.to_string(), format!("the SMS gateway answered with status {status}"));
        }
    }

    #[tokio::test]
    async fn a_gateway_within_the_network_is_called_only_when_it_is_meant() {
        let (gateway, url) = Gateway::start(200).await;
        let settings = SmsSettings::parse(&url, None).unwrap();
        let guarded = Outbound::new(OutboundOptions::default());
        let refused = SmsGateway::new(settings, guarded).send(&message("hello")).await.unwrap_err();
        assert!(matches!(&refused, SendError::Permanent(why) if why.contains("without TLS")), "{refused}");
        assert!(gateway.1.lock().unwrap().is_none());
    }

    #[test]
    fn settings_say_what_is_wrong_with_them() {
        let problem = |url: &str, template: Option<&str>| SmsSettings::parse(url, template).err().unwrap_or_default();
        assert!(problem("sms.example", None).contains("cannot be read"));
        assert!(problem("ftp://sms.example/", None).contains("https"));
        assert!(problem("https://user:pw@sms.example/", None).contains("GUERDON_SMS_SECRET"));
        assert!(problem("https://sms.example/", Some("{}")).contains("{to}"));
        assert!(problem("https://sms.example/", Some("{to} {text}")).contains("no JSON"));
        assert!(problem("https://sms.example/", Some(&"{to}{text}".repeat(2_000))).contains("longer"));
        let settings = SmsSettings::parse("https://sms.example/", None).unwrap();
        assert!(settings.with_secret(None, &Zeroizing::new("a\r\nb: c".to_owned())).is_err());
    }
}
