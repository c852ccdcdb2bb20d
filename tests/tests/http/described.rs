//! The description says what there is: each route is in it, and answers as it says.

use crate::house::{House, Reply, SOON};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};

const PAGE: &str = include_str!("../../../docs/openapi.json");

fn page() -> Value {
    serde_json::from_str(PAGE).expect("JSON")
}

/// What a reference stands for.
fn meant<'a>(page: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(name) => {
            let pointer = name.strip_prefix('#').expect("a reference into the page");
            page.pointer(pointer).unwrap_or_else(|| panic!("{name} leads nowhere"))
        }
        None => node,
    }
}

/// What is wrong with a value, after its schema; as much of JSON Schema as the page uses.
fn wrong(page: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let schema = meant(page, schema);
    if let Some(several) = schema["oneOf"].as_array() {
        let fit = several.iter().filter(|schema| wrong(page, schema, value, at).is_empty()).count();
        return if fit == 1 { Vec::new() } else { vec![format!("{at}: fits {fit} of {}", several.len())] };
    }
    let mut faults = Vec::new();
    let kinds: Vec<_> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("{at}: the page has a type {other}"),
    };
    if !kinds.iter().any(|kind| is(kind)) {
        faults.push(format!("{at}: {value} is none of {kinds:?}"));
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        faults.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        faults.extend(wrong(page, &schema["items"], item, &format!("{at}/{number}")));
    }
    if let Some(object) = value.as_object() {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        faults.extend(required.filter(|name| !object.contains_key(*name)).map(|name| format!("{at}: no {name}")));
        for (name, value) in object {
            match &schema["properties"][name] {
                Value::Null if schema["additionalProperties"] == false => faults.push(format!("{at}: {name}")),
                Value::Null => {}
                schema => faults.extend(wrong(page, schema, value, &format!("{at}/{name}"))),
            }
        }
    }
    faults
}

/// Every method and path of the page.
fn operations(page: &Value) -> Vec<(String, String, &Value)> {
    let paths = page["paths"].as_object().expect("paths");
    let each = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().expect("methods").clone();
        methods.keys().map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    let all = paths.iter().flat_map(each);
    all.map(|(method, path)| {
        let operation = &page["paths"][&path][method.to_lowercase()];
        (method, path, operation)
    })
    .collect()
}

/// Asks for it as its example says. Of what has no end, the beginning.
fn asked(house: &House, method: &str, path: &str, operation: &Value) -> Reply {
    let body = &operation["requestBody"]["content"]["application/json"]["example"];
    if path == "/api/v1/events" {
        let mut stream = house.connect();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", house.host);
        stream.write_all(head.as_bytes()).expect("sent");
        let (mut got, mut room) = (Vec::new(), [0; 4096]);
        while !got.ends_with(b"\n\n\r\n") {
            let length = stream.read(&mut room).expect("events");
            assert!(length > 0, "it goes on");
            got.extend_from_slice(&room[..length]);
        }
        return Reply::of(&got);
    }
    match body {
        Value::Null => house.ask(method, path, &[], ""),
        body => house.ask(method, path, &[("Content-Type", "application/json")], &body.to_string()),
    }
}

#[test]
fn every_route_is_in_the_description_and_answers_as_it_says() {
    let page = page();
    let described: BTreeSet<_> = operations(&page).into_iter().map(|(method, path, _)| (method, path)).collect();
    let served = soundpost_linux::http::paths().map(|(method, path)| (method.to_owned(), path.to_owned()));
    assert_eq!(described, served.collect::<BTreeSet<_>>());
    let house = House::open(&[]);
    assert!(soundpost_tests::until(SOON, || house.get("/healthz").status == 200), "sound moves");
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&page) {
        assert!(names.insert(operation["operationId"].to_string()), "{method} {path}: a name of its own");
        assert!(operation["summary"].is_string(), "{method} {path}");
        for response in operation["responses"].as_object().expect("responses").values() {
            assert!(meant(&page, response)["description"].is_string(), "{method} {path}: {response}");
        }
        let reply = asked(&house, &method, &path, operation);
        let response = meant(&page, &operation["responses"][reply.status.to_string()]);
        assert!(reply.status < 300 && response.is_object(), "{method} {path}: {reply:?}");
        let kind = reply.header("content-type").expect("a type").split(';').next().expect("a type").to_owned();
        let schema = &response["content"][&kind]["schema"];
        assert!(schema.is_object(), "{method} {path}: {kind} is not described");
        if kind == "application/json" {
            assert_eq!(wrong(&page, schema, &reply.json(), &path), Vec::<String>::new(), "{method}");
        }
    }
}

#[test]
fn what_is_refused_is_described_too() {
    let page = page();
    let house = House::open(&[]);
    for (method, path, operation) in operations(&page) {
        let evil = house.ask(&method, &path, &[("Host", "evil.example")], "");
        assert_eq!(evil.status, 403, "{method} {path}");
        let response = meant(&page, &operation["responses"]["403"]);
        let schema = &response["content"]["application/json"]["schema"];
        assert_eq!(wrong(&page, schema, &evil.json(), &path), Vec::<String>::new(), "{method}");
        if operation["requestBody"].is_object() {
            for (status, kind, body) in
                [(415, "text/plain", "{}"), (400, "application/json", "{"), (400, "application/json", "{}")]
            {
                let reply = house.ask(&method, &path, &[("Content-Type", kind)], body);
                assert_eq!(reply.status, status, "{method} {path} {kind} {body}");
                let response = meant(&page, &operation["responses"][status.to_string()]);
                let schema = &response["content"]["application/json"]["schema"];
                assert_eq!(wrong(&page, schema, &reply.json(), &path), Vec::<String>::new(), "{method}");
            }
        }
    }
}

#[test]
fn a_question_about_an_answer_has_no_body() {
    let house = House::open(&[]);
    for (_, path) in soundpost_linux::http::paths().filter(|(method, _)| *method == "GET") {
        let reply = house.ask("HEAD", path, &[], "");
        assert!(reply.status == 200 && reply.body.is_empty(), "{path}: {reply:?}");
    }
}
