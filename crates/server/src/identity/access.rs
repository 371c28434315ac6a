//! Which route asks for what. Declared beside each handler: API operations by `security(…)` in their description, pages by
//! [`Pages`]. A route that declares nothing is refused to everyone.

use std::collections::HashMap;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::on;
use guerdon_core::identity::Permission;
use serde_json::Value;

use crate::AppState;

/// What a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: open to the world.
    Nothing,
    /// A signed-in operator, whatever he may do.
    Operator,
    /// A signed-in member, for what is the member's own.
    Member,
    /// A permission in every store.
    Permission(Permission),
    /// A permission in some store at least; the handler asks again for the store that the request names, or the route
    /// shows nothing that belongs to a store.
    InStore(Permission),
}

/// What every route asks for, by matched path and method.
#[derive(Debug, Default)]
pub struct Routes(HashMap<String, Vec<(Method, Needs)>>);

/// The word by which an operation of the API says that it is for operators or members themselves.
const OPERATOR: &str = "operator";
const MEMBER: &str = "member";
/// The scheme that stands for API keys, tokens and sessions alike, with the permission as its scope.
const KEY: &str = "key";
/// Behind a permission: in some store at least.
const IN_STORE: &str = "@store";

impl Routes {
    /// What a route asks for. `None`: it has declared nothing.
    pub fn needs(&self, method: &Method, path: &str) -> Option<Needs> {
        // Whoever may get a page may look at its head.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.0.get(path)?.iter().find(|(known, _)| known == method).map(|(_, needs)| *needs)
    }

    /// Whether there is such a route, whatever method it takes.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Adds what a page asks for.
    pub fn add(&mut self, method: Method, path: &str, needs: Needs) {
        let methods = self.0.entry(path.to_owned()).or_default();
        methods.retain(|(known, _)| *known != method);
        methods.push((method, needs));
    }

    /// Adds what the operations of an API description ask for. The message names an operation that does not say.
    pub fn add_described(&mut self, description: &utoipa::openapi::OpenApi) -> Result<(), String> {
        let description = serde_json::to_value(description).map_err(|error| error.to_string())?;
        let paths = description.get("paths").and_then(Value::as_object).into_iter().flatten();
        for (path, item) in paths {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let Ok(method) = method.to_ascii_uppercase().parse::<Method>() else { continue };
                let needs = declared(operation).map_err(|problem| format!("{method} {path} {problem}"))?;
                self.add(method, path, needs);
            }
        }
        Ok(())
    }

    /// All of them, for tests.
    pub fn iter(&self) -> impl Iterator<Item = (&Method, &str, Needs)> {
        let methods = self.0.iter().flat_map(|(path, methods)| methods.iter().map(move |known| (path, known)));
        methods.map(|(path, (method, needs))| (method, path.as_str(), *needs))
    }
}

fn declared(operation: &Value) -> Result<Needs, String> {
    let security = operation.get("security").and_then(Value::as_array).ok_or("declares no `security`")?;
    let [requirement] = security.as_slice() else { return Err("must declare one `security` requirement".to_owned()) };
    let mut schemes = requirement.as_object().into_iter().flatten();
    let Some((scheme, scopes)) = schemes.next() else { return Ok(Needs::Nothing) };
    let scopes: Vec<&str> = scopes.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match (scheme.as_str(), scopes.as_slice()) {
        (OPERATOR, []) => Ok(Needs::Operator),
        (MEMBER, []) => Ok(Needs::Member),
        (KEY, [scope]) => match scope.strip_suffix(IN_STORE) {
            Some(permission) => permission.parse().map(Needs::InStore),
            None => scope.parse().map(Needs::Permission),
        },
        _ => {
            Err(format!("declares `{scheme}` with {} scopes; a permission is declared as `key` with one", scopes.len()))
        }
    }
}

/// Pages, each with what it asks for.
#[derive(Default)]
pub struct Pages {
    router: Router<AppState>,
    needs: Vec<(Method, &'static str, Needs)>,
}

impl Pages {
    /// A page to get.
    pub fn get<H: Handler<T, AppState>, T: 'static>(self, path: &'static str, needs: Needs, handler: H) -> Self {
        self.add(Method::GET, axum::routing::MethodFilter::GET, path, needs, handler)
    }

    /// A form to post.
    pub fn post<H: Handler<T, AppState>, T: 'static>(self, path: &'static str, needs: Needs, handler: H) -> Self {
        self.add(Method::POST, axum::routing::MethodFilter::POST, path, needs, handler)
    }

    fn add<H: Handler<T, AppState>, T: 'static>(
        mut self,
        method: Method,
        filter: axum::routing::MethodFilter,
        path: &'static str,
        needs: Needs,
        handler: H,
    ) -> Self {
        self.needs.push((method, path, needs));
        Self { router: self.router.route(path, on(filter, handler)), needs: self.needs }
    }

    /// Other pages beside these.
    pub fn and(mut self, other: Self) -> Self {
        self.needs.extend(other.needs);
        Self { router: self.router.merge(other.router), needs: self.needs }
    }

    /// The same pages with something around them.
    pub fn around(self, surround: impl FnOnce(Router<AppState>) -> Router<AppState>) -> Self {
        Self { router: surround(self.router), needs: self.needs }
    }

    /// Tells what they ask for, and gives the routes.
    pub fn declare(self, routes: &mut Routes) -> Router<AppState> {
        for (method, path, needs) in self.needs {
            routes.add(method, path, needs);
        }
        self.router
    }
}
