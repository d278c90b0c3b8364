use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{LookUps, OPENAPI, Served, router, routes};
use crate::explain::explain;
use crate::pipeline::Observed;
use crate::rehearsal::{Rehearsal, small_shop};
use crate::topology::Topology;

/// The file, read once more.
fn openapi() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// A process in service while `ask` asks it.
fn serve<T>(
    shop: &Rehearsal,
    topology: &Topology,
    observed: &Observed,
    ask: impl FnOnce(SocketAddr) -> T,
) -> T {
    let (broker, config) = (shop.broker.clone(), shop.config.clone());
    let explain = Arc::new(move |id: &str| explain(&broker, &config, id));
    let look_ups = LookUps::new(&shop.config, topology, &shop.partition_counts(), explain);
    let served = Served { observed: observed.clone(), look_ups };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (over, until) = tokio::sync::oneshot::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = axum::serve(listener, router(served)).into_future() => {}
                    _ = until => {}
                }
            });
        });
        // Dropped also where an assertion fails, so that the thread ends.
        let _over = over;
        ask(address)
    })
}

/// Status and body.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// An answer in JSON that the file allows on that route.
fn promised(address: SocketAddr, route: &str, path: &str) -> (u16, Value) {
    let (status, body) = get(address, path);
    let body: Value = serde_json::from_str(&body).unwrap();
    let file = openapi();
    let response = &file["paths"][route]["get"]["responses"][status.to_string()];
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{path}: {status} is not in the file: {body}");
    let complaints = complaints(schema, &body, &file);
    assert!(complaints.is_empty(), "{path}: {complaints:?} in {body}");
    (status, body)
}

const PROFILES: &str = "/v1/profiles/{id}";
const RECOMMENDATIONS: &str = "/v1/recommendations/{id}";
const EXPLAIN: &str = "/v1/explain/{decision}";

#[test]
fn the_file_has_the_routes_of_the_router_and_no_other() {
    let file = openapi();
    let written: BTreeSet<&str> = file["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let served: BTreeSet<&str> = routes().iter().map(|(path, _)| *path).collect();
    assert_eq!(written, served, "left: schemas/openapi.json, right: the router");
}

#[test]
fn every_example_is_what_its_schema_says() {
    let file = openapi();
    let mut examples = 0;
    for (path, methods) in file["paths"].as_object().unwrap() {
        for (status, response) in methods["get"]["responses"].as_object().unwrap() {
            let content = response["content"].as_object().unwrap().values().next().unwrap();
            let complaints = complaints(&content["schema"], &content["example"], &file);
            assert!(complaints.is_empty(), "{path} {status}: {complaints:?}");
            examples += 1;
        }
    }
    assert!(examples > 20);
}

#[test]
fn an_answer_that_the_file_does_not_promise_is_refused() {
    let file = openapi();
    let schema = json!({ "$ref": "#/components/schemas/Exclusion" });
    let count = |answer: Value| complaints(&schema, &answer, &file).len();
    assert_eq!(count(json!({ "product_id": "bun", "reason_code": "BOUGHT" })), 0);
    assert_eq!(count(json!({ "product_id": "bun", "reason_code": "STALE_BREAD" })), 1);
    assert_eq!(count(json!({ "product_id": 7, "reason_code": "BOUGHT" })), 1);
    assert_eq!(count(json!({ "product_id": "bun" })), 1);
    assert_eq!(count(json!({ "product_id": "bun", "reason_code": "BOUGHT", "price": 1 })), 1);
}

#[test]
fn a_shop_is_looked_up_while_it_runs() {
    let shop = Rehearsal::new(2);
    shop.visit(small_shop(2_000));
    shop.run(|observed, topology| {
        serve(&shop, topology, observed, |address| {
            let said = shop.records("recommendations").pop().unwrap();
            let said: Value = serde_json::from_slice(said.value.as_deref().unwrap()).unwrap();
            known_customer(address, &said);
            strangers_and_nonsense(address);
            explanations(address, said["decision_id"].as_str().unwrap());
            for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
                assert_eq!(get(address, path).0, 200, "{path}");
            }
        });
    });
}

fn known_customer(address: SocketAddr, said: &Value) {
    let id = said["profile_id"].as_str().unwrap();
    let (status, short) = promised(address, PROFILES, &format!("/v1/profiles/{id}"));
    assert_eq!(status, 200);
    let (_, long) = promised(address, PROFILES, &format!("/v1/profiles/shop%7C{id}"));
    assert_eq!(short, long, "the tenant of the first source need not be named");
    assert!(short["profile"]["events"].as_u64().unwrap() > 0);
    for placement in ["", "?placement=for_you", "?placement=similar_users"] {
        let path = format!("/v1/recommendations/{id}{placement}");
        let (status, shown) = promised(address, RECOMMENDATIONS, &path);
        assert_eq!((status, &shown["known"]), (200, &json!(true)), "{shown}");
        assert!(shown["as_of"].is_i64(), "{shown}");
        let empty = shown["items"].as_array().unwrap().is_empty();
        assert_eq!(empty, shown["silence"].is_string(), "nothing, or a reason: {shown}");
    }
}

fn strangers_and_nonsense(address: SocketAddr) {
    let long = "x".repeat(10_000);
    for (route, path, expected) in [
        (PROFILES, "/v1/profiles/nobody".to_owned(), 404),
        (PROFILES, format!("/v1/profiles/{long}"), 400),
        (PROFILES, "/v1/profiles/%00".to_owned(), 400),
        (PROFILES, "/v1/profiles/%ff".to_owned(), 400),
        (RECOMMENDATIONS, "/v1/recommendations/a%0Ab".to_owned(), 400),
        (RECOMMENDATIONS, "/v1/recommendations/anna?placement=nowhere".to_owned(), 400),
        (RECOMMENDATIONS, "/v1/recommendations/anna?placement=for_you&placement=for_you".to_owned(), 400),
        (EXPLAIN, "/v1/explain/no-uuid".to_owned(), 400),
        (EXPLAIN, "/v1/explain/5d1c3c2e-6f0b-5e0a-9f5e-0b6a3f6a2a41".to_owned(), 404),
    ] {
        let (status, refusal) = promised(address, route, &path);
        assert_eq!(status, expected, "{path}: {refusal}");
        assert!(!refusal.to_string().contains("nowhere") && !refusal.to_string().contains("xxx"));
    }
    let (status, shown) = promised(address, RECOMMENDATIONS, "/v1/recommendations/nobody");
    assert_eq!((status, &shown["known"]), (200, &json!(false)));
    assert_eq!(shown["items"][0]["reasons"][0]["code"], "POPULAR", "{shown}");
    assert!(get(address, "/v2/profiles/anna").1.contains("NO_SUCH_ROUTE"));
}

fn explanations(address: SocketAddr, id: &str) {
    let (status, explained) = promised(address, EXPLAIN, &format!("/v1/explain/{id}"));
    assert_eq!((status, &explained["verdict"]), (200, &json!("IDENTICAL")), "{explained}");
    assert_eq!(explained["decision"]["decision_id"], id);
}

#[test]
fn a_key_that_is_held_elsewhere_is_answered_with_its_partition() {
    let shop = Rehearsal::new(2);
    // Nobody works here: no processor runs in this process.
    let topology = Topology::of(&shop.config, &shop.partition_counts()).unwrap();
    serve(&shop, &topology, &Observed::nobody(), |address| {
        for (route, topic) in [(PROFILES, "events"), (RECOMMENDATIONS, "profile-updates")] {
            let (status, refusal) = promised(address, route, &route.replace("{id}", "anna"));
            assert_eq!((status, refusal["error"].as_str()), (421, Some("HELD_ELSEWHERE")));
            let partition = stream_runtime::partition_for(b"shop|anna", 2);
            assert_eq!((&refusal["topic"], &refusal["partition"]), (&json!(topic), &json!(partition)));
        }
    });
}

/// Where a value is not what its schema says, for the few words of JSON Schema that the file uses.
fn complaints(schema: &Value, value: &Value, file: &Value) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return complaints(file.pointer(name.trim_start_matches('#')).unwrap(), value, file);
    }
    let mut found = Vec::new();
    let nothing = Map::new();
    for (word, says) in schema.as_object().unwrap() {
        match word.as_str() {
            "description" => {}
            "type" if !types(says).any(|name| is_a(value, name)) => {
                found.push(format!("{value} is no {says}"))
            }
            "enum" if !says.as_array().unwrap().contains(value) => {
                found.push(format!("{value} is not in {says}"))
            }
            "type" | "enum" => {}
            "required" => {
                let missing = says
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|name| value.get(name.as_str().unwrap()).is_none());
                found.extend(missing.map(|name| format!("{name} is missing")));
            }
            "properties" => {
                let known = says.as_object().unwrap().iter();
                let present = known.filter_map(|(name, schema)| Some((schema, value.get(name)?)));
                found.extend(present.flat_map(|(schema, member)| complaints(schema, member, file)));
            }
            "additionalProperties" => {
                let known = &schema["properties"];
                let others = value
                    .as_object()
                    .unwrap_or(&nothing)
                    .keys()
                    .filter(|name| known.get(name.as_str()).is_none());
                found.extend(others.map(|name| format!("{name} is not in the schema")));
            }
            "items" => {
                let items = value.as_array().into_iter().flatten();
                found.extend(items.flat_map(|item| complaints(says, item, file)));
            }
            other => panic!("the file uses {other}, which this test does not know"),
        }
    }
    found
}

fn types(says: &Value) -> impl Iterator<Item = &str> {
    let many = says.as_array().into_iter().flatten().filter_map(Value::as_str);
    many.chain(says.as_str())
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}
