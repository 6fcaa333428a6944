use std::collections::BTreeSet;

use async_trait::async_trait;
use axum::body::Body;
use axum::routing::get;
use base64::Engine;
use http_body_util::BodyExt;
use model::{Clock, TenantId, TimestampMs};
use tower::ServiceExt;

use super::*;
use crate::{Accounts, CredentialSource, Role, SecretHash, Tenants};

#[derive(Debug)]
struct Fixed(Vec<Account>);

#[async_trait]
impl CredentialSource for Fixed {
    async fn read(&self) -> Result<Accounts, ReadError> {
        Ok(Accounts::new(self.0.clone())?)
    }
}

#[derive(Debug)]
struct Broken;

#[async_trait]
impl CredentialSource for Broken {
    async fn read(&self) -> Result<Accounts, ReadError> {
        Err("the file is gone".into())
    }
}

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> TimestampMs {
        TimestampMs(1_767_225_600_000)
    }
}

fn account(name: &str, tenants: &[&str], roles: &[Role]) -> Account {
    let these = |names: &[&str]| Tenants::These(names.iter().map(|name| TenantId::parse(name).unwrap()).collect());
    let tenants = if tenants == ["*"] { Tenants::All } else { these(tenants) };
    let secrets = vec![SecretHash::of(format!("{name}-secret").as_bytes())];
    Account { name: name.to_owned(), tenants, roles: BTreeSet::from_iter(roles.iter().copied()), secrets }
}

fn guard() -> Guard {
    let accounts = vec![
        account("reader", &["a"], &[Role::Read]),
        account("writer", &["a"], &[Role::Write]),
        account("both", &["a", "b"], &[Role::Read, Role::Write]),
        account("operator", &["*"], &[Role::Read, Role::Admin]),
    ];
    Guard::new(Keyring::new(Box::new(Fixed(accounts)), Arc::new(Noon)))
}

fn needs(path: Option<&str>, method: &Method) -> Need {
    match (path, method) {
        (Some("/ready"), _) => Need::Nobody,
        (Some("/admin/{what}"), _) => Need::Role(Role::Admin),
        (_, &Method::GET) => Need::Role(Role::Read),
        _ => Need::Role(Role::Write),
    }
}

/// Answers what a handler sees: the tenant headers, and whether a secret came through.
async fn seen(headers: HeaderMap) -> String {
    let tenants: Vec<&str> = headers.get_all(TENANT).iter().map(|value| value.to_str().unwrap()).collect();
    format!("{}{}", tenants.join(","), if headers.contains_key(header::AUTHORIZATION) { " secret" } else { "" })
}

fn app(guard: &Guard) -> Router {
    let routes = Router::new().route("/", get(seen).post(seen)).route("/ready", get(seen)).route("/admin/{what}", get(seen));
    guarded(routes, guard, needs)
}

async fn ask(guard: &Guard, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
    let (method, path) = path.split_once(' ').unwrap_or(("GET", path));
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let (parts, body) = app(guard).oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (parts.status.as_u16(), parts.headers, body)
}

fn basic(name: &str, secret: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{secret}")))
}

#[tokio::test]
async fn who_may_do_what() {
    let guard = guard();
    let not_valid = "credentials are not valid\n";
    let (role, tenant) = ("credentials do not allow this\n", "credentials are not of the tenant in X-Scope-OrgID\n");
    let none = "no credentials: a bearer token or basic authentication is needed\n";
    let table: [(&str, &str, Option<&str>, u16, &str); 21] = [
        // The tenant is the account's, named or not.
        ("/", "Bearer reader-secret", None, 200, "a"),
        ("/", "Bearer reader-secret", Some("a"), 200, "a"),
        ("/", "Bearer reader-secret", Some(""), 200, "a"),
        ("/", "Bearer reader-secret", Some("b"), 403, tenant),
        ("/", "Bearer reader-secret", Some("a|b"), 403, tenant),
        ("/", "Bearer reader-secret", Some("../a"), 403, tenant),
        ("POST /", "Bearer reader-secret", None, 403, role),
        ("POST /", "Bearer writer-secret", None, 200, "a"),
        ("/", "Bearer writer-secret", None, 403, role),
        // Of several tenants one is named, and may be several.
        ("/", "Bearer both-secret", None, 200, ""),
        ("/", "Bearer both-secret", Some("b"), 200, "b"),
        ("/", "Bearer both-secret", Some("a|b"), 200, "a|b"),
        ("/", "Bearer both-secret", Some("a|c"), 403, tenant),
        // An operator names anybody; what is no tenant's name the handler refuses.
        ("/admin/x", "Bearer operator-secret", Some("z"), 200, "z"),
        ("/admin/x", "Bearer reader-secret", None, 403, role),
        ("/%61dmin/x", "Bearer operator-secret", None, 404, ""),
        ("/", &basic("reader", "reader-secret"), None, 200, "a"),
        ("/", &basic("writer", "reader-secret"), None, 401, not_valid),
        ("/", &basic("reader", "x"), None, 401, not_valid),
        ("/", "Bearer x", None, 401, not_valid),
        ("/", "", None, 401, not_valid),
    ];
    for (path, authorization, named, status, text) in table {
        let mut headers = vec![("authorization", authorization)];
        headers.extend(named.map(|tenant| ("x-scope-orgid", tenant)));
        let (got, _, body) = ask(&guard, path, &headers).await;
        assert_eq!((got, body.as_str()), (status, text), "{path} {authorization} {named:?}");
    }
    assert_eq!(ask(&guard, "/", &[]).await.2, none);
    assert_eq!(ask(&guard, "/ready", &[]).await.0, 200, "probes need nothing");
}

#[tokio::test]
async fn nothing_is_granted_by_headers_that_contradict() {
    let guard = guard();
    let twice = [("authorization", "Bearer x"), ("authorization", "Bearer reader-secret")];
    assert_eq!(ask(&guard, "/", &twice).await.0, 401);
    let tenants = [("authorization", "Bearer reader-secret"), ("x-scope-orgid", "a"), ("x-scope-orgid", "b")];
    assert_eq!(ask(&guard, "/", &tenants).await.0, 400);
    let by_header = [("x-scope-orgid", "a")];
    assert_eq!(ask(&guard, "/", &by_header).await.0, 401, "a tenant's name is no credential");
}

#[tokio::test]
async fn clients_are_told_how_to_authenticate() {
    let (status, headers, _) = ask(&guard(), "/", &[]).await;
    let challenges: Vec<&str> = headers.get_all(header::WWW_AUTHENTICATE).iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(status, 401);
    assert_eq!(challenges, ["Basic realm=\"lamella\", charset=\"UTF-8\"", "Bearer realm=\"lamella\""]);
    let (_, headers, _) = ask(&guard(), "/", &[("authorization", "Bearer writer-secret")]).await;
    assert!(!headers.contains_key(header::WWW_AUTHENTICATE), "other credentials are not what 403 asks for");
}

#[tokio::test]
async fn accounts_that_cannot_be_read_let_nobody_in() {
    let guard = Guard::new(Keyring::new(Box::new(Broken), Arc::new(Noon)));
    let (status, headers, body) = ask(&guard, "/", &[("authorization", "Bearer reader-secret")]).await;
    assert_eq!((status, body.as_str()), (503, "credentials cannot be checked now\n"));
    assert_eq!(headers[header::RETRY_AFTER], "5");
    assert!(guard.check().await.is_err());
}

#[tokio::test]
async fn without_accounts_everything_passes_as_it_came() {
    let headers = [("authorization", "Bearer x"), ("x-scope-orgid", "anybody")];
    assert_eq!(ask(&Guard::open(), "/admin/x", &headers).await, ask(&Guard::open(), "/", &headers).await);
    assert_eq!(ask(&Guard::open(), "/", &headers).await.2, "anybody secret");
}

#[tokio::test]
async fn outcomes_are_counted() {
    let guard = guard();
    for authorization in ["Bearer reader-secret", "Bearer writer-secret", "Bearer x", "Bearer y"] {
        ask(&guard, "/", &[("authorization", authorization)]).await;
    }
    let mut page = String::new();
    guard.render(&mut page);
    for (outcome, count) in [("granted", 1), ("forbidden", 1), ("unauthenticated", 2), ("unavailable", 0)] {
        assert!(page.contains(&format!("lamella_edge_requests_total{{outcome=\"{outcome}\"}} {count}\n")), "{page}");
    }
}
