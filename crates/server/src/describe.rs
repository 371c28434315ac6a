//! Completes the description of the API: what every operation may answer besides its own answers is said here, once.

use axum::http::StatusCode;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema};

use crate::degraded::LAST_KNOWN;

/// The media type of every problem (RFC 9457).
const PROBLEM: &str = "application/problem+json";

/// Forms of ids: digits of Crockford's base32, the first of which holds what is left of 63 bits.
const ID_DIGITS: &str = "[0-7][0-9a-hjkmnp-tv-z]{12}";
/// Visible ASCII, at most 128 characters, without spaces around.
const KEY_FORM: &str = "^[!-~]([ -~]{0,126}[!-~])?$";

/// Adds to each operation the answers that any operation of its kind may give, and the forms of ids and keys.
pub fn complete(mut api: OpenApi) -> OpenApi {
    for (path, item) in &mut api.paths.paths {
        let methods = [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in methods {
            let Some(operation) = operation else { continue };
            // Unique, as OpenAPI asks: the functions behind them are not.
            operation.operation_id = Some(operation_id(method, path));
            describe(path, operation);
            if method == "get" && LAST_KNOWN.contains(&path.as_str()) {
                describe_last_known(operation);
            }
        }
    }
    api
}

/// `get_v1_members_member_id`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

fn describe(path: &str, operation: &mut Operation) {
    let (in_path, has_body) = (path.contains('{'), operation.request_body.is_some());
    let mut keyed = false;
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            keyed |= parameter.name == "Idempotency-Key";
            give_form(parameter);
        }
    }
    let takes_something = has_body || operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty());
    let guarded = operation.security.iter().flatten().any(|asked| asked != &Default::default());
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(response) = response {
            as_problem(response);
            // OpenAPI asks for a description of every answer; the status in words is the least.
            if response.description.is_empty() {
                let known = status.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
                response.description = known.and_then(|code| code.canonical_reason()).unwrap_or("An answer").to_owned();
            }
        }
    }
    if keyed && let Some(RefOr::T(created)) = responses.get("201") {
        let mut replayed = created.clone();
        replayed.description = "The receipt of an earlier request under the same Idempotency-Key".to_owned();
        let header = HeaderBuilder::new().schema(Some(of_type(Type::String))).description(Some("`true`")).build();
        replayed.headers.insert("Idempotent-Replayed".to_owned(), header.into());
        responses.entry("200".to_owned()).or_insert_with(|| RefOr::T(replayed));
    }
    let common = [
        (takes_something, "400", "The request cannot be understood; `detail` says what was expected"),
        (guarded, "401", "No key, token or session, or one that is unknown, expired or revoked"),
        (guarded, "403", "The key or operator lacks the permission that is asked for"),
        (in_path || has_body, "404", "Something that the request names is not there"),
        (has_body || keyed, "409", "What is there does not allow it; `code` says why"),
        (has_body, "413", "The body is larger than 1 MiB"),
        (has_body || keyed, "422", "A field is beyond its limits; `detail` names it"),
        (true, "429", "Too many requests; `Retry-After` says when to come back"),
        (true, "503", "Busy, or the store cannot be reached; `Retry-After` says when to come back"),
    ];
    for (_, status, meaning) in common.into_iter().filter(|(may, ..)| *may) {
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(status, meaning)));
    }
}

/// What is answered from memory while the database is away.
fn describe_last_known(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    if let Some(RefOr::T(answer)) = responses.get_mut("200") {
        let header =
            |of: Type, text: &str| HeaderBuilder::new().schema(Some(of_type(of))).description(Some(text)).build();
        let mark = "`as-of=` and an RFC 3339 time: the database is away, and this is what this node knew then; left out: it is as \
                    it is now";
        answer.headers.insert("Guerdon-Degraded".to_owned(), header(Type::String, mark).into());
        let age = "How many seconds ago that was, beside `Guerdon-Degraded`";
        answer.headers.insert("Age".to_owned(), header(Type::Integer, age).into());
    }
    let away = "Busy, or the database is away and this node remembers nothing of it (`not_remembered`) or has not verified the \
                caller lately; `Retry-After` says when to come back";
    responses.insert("503".to_owned(), RefOr::T(problem("503", away)));
}

fn problem(status: &str, meaning: &str) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let mut response = ResponseBuilder::new().description(meaning).content(PROBLEM, Content::new(Some(schema)));
    if matches!(status, "429" | "503") {
        let header = HeaderBuilder::new().schema(Some(of_type(Type::Integer))).description(Some("Seconds")).build();
        response = response.header("Retry-After", header);
    }
    response.build()
}

/// A problem that a handler documents itself has its own media type, too.
fn as_problem(response: &mut Response) {
    let is_problem = |content: &RefOr<Content>| {
        let RefOr::T(content) = content else { return false };
        matches!(&content.schema, Some(RefOr::Ref(schema)) if schema.ref_location.ends_with("/Problem"))
    };
    if let Some(content) = response.content.get("application/json").filter(|content| is_problem(content)).cloned() {
        response.content.clear();
        response.content.insert(PROBLEM.to_owned(), content);
    }
}

fn give_form(parameter: &mut Parameter) {
    if parameter.name == "limit"
        && let Some(RefOr::T(Schema::Object(number))) = &mut parameter.schema
    {
        number.minimum = Some(1.into());
    }
    let form = match (&parameter.parameter_in, parameter.name.as_str()) {
        (ParameterIn::Header, "Idempotency-Key") => KEY_FORM.to_owned(),
        (ParameterIn::Path, "member_id") => format!("^mem_{ID_DIGITS}$"),
        (ParameterIn::Path | ParameterIn::Query, "transaction_id") => format!("^txn_{ID_DIGITS}$"),
        (ParameterIn::Path, "order_id") => format!("^ord_{ID_DIGITS}$"),
        _ => return,
    };
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).pattern(Some(form)).build();
    parameter.schema = Some(RefOr::T(Schema::Object(text)));
}

fn of_type(of: Type) -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(SchemaType::Type(of)).build())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::app::openapi;

    #[test]
    fn every_operation_says_all_that_it_may_answer_and_where_its_parameters_are() {
        let description = serde_json::to_value(openapi()).unwrap();
        let operations = description["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
        });
        for (path, method, operation) in operations {
            let name = format!("{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("429") && responses.contains_key("503"), "{name}");
            for (status, response) in responses {
                let types: Vec<&String> =
                    response["content"].as_object().into_iter().flat_map(|all| all.keys()).collect();
                // OAuth2 has errors of its own form (RFC 6749, 5.2).
                let is_problem = types.iter().any(|kind| *kind == super::PROBLEM);
                let is_oauth = path.starts_with("/oauth/") && !is_problem;
                assert!(is_oauth || is_problem == (status >= &"400".to_owned()), "{name} {status}");
                assert!(response["description"].as_str().is_some(), "{name} {status}");
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let in_path = path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap()));
                assert_eq!(parameter["in"] == "path", in_path, "{name}: {parameter}; say parameter_in = Query");
            }
            let guarded = operation["security"]
                .as_array()
                .unwrap()
                .iter()
                .any(|asked| *asked != Value::Object(Default::default()));
            // The endpoints of OAuth2 ask for the client themselves, and suppliers sign what they call back.
            let asks_itself = path.starts_with("/oauth/") || path.ends_with("/callbacks");
            assert!(asks_itself || responses.contains_key("401") == guarded, "{name}");
        }
    }
}
