use apache_avro::types::Value;
use codec::{Subject, to_json};
use serde_json::{Map, Value as Json};

use crate::contract::{as_avro, examples, schema, schemas, subject_folders, through_the_domain, wire_bytes};

#[test]
fn every_folder_has_a_schema_and_an_example() {
    assert!(subject_folders().len() >= 10);
    for folder in subject_folders() {
        schema(&folder);
        assert!(!examples(&folder).is_empty(), "{} has no example", folder.display());
    }
}

#[test]
fn every_subject_has_its_folder() {
    for subject in Subject::ALL {
        let text = std::fs::read_to_string(schemas().join(subject.name()).join("v1.avsc")).unwrap();
        assert_eq!(text, subject.schema_text());
        assert_eq!(subject.to_string(), subject.name());
    }
}

#[test]
fn every_field_and_named_type_says_what_it_is() {
    for folder in subject_folders() {
        let text = std::fs::read_to_string(folder.join("v1.avsc")).unwrap();
        let schema: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["namespace"], "paczek.v1");
        assert_documented(&schema, &folder.display().to_string());
    }
}

#[test]
fn every_example_is_of_its_schema() {
    for folder in subject_folders() {
        let schema = schema(&folder);
        for (path, example) in examples(&folder) {
            assert_eq!(printed(as_avro(&schema, &example)), example, "{}", path.display());
        }
    }
}

#[test]
fn every_example_survives_the_codec() {
    for subject in Subject::ALL {
        for (path, example) in examples(&schemas().join(subject.name())) {
            let bytes = wire_bytes(*subject, &example);
            let again = through_the_domain(*subject, &bytes).unwrap();
            assert_eq!(to_json(*subject, &again).unwrap(), example, "{}", path.display());
            assert_eq!(through_the_domain(*subject, &again).unwrap(), again, "{}", path.display());
        }
    }
}

/// Every object with a name is a field or a named type.
fn assert_documented(node: &Json, place: &str) {
    match node {
        Json::Object(object) => {
            if let Some(name) = object.get("name") {
                let doc = object.get("doc").and_then(Json::as_str).unwrap_or_default();
                assert!(!doc.is_empty(), "{place}: {name} has no doc");
            }
            let structure = ["type", "fields", "items", "values"];
            structure
                .iter()
                .filter_map(|key| object.get(*key))
                .for_each(|node| assert_documented(node, place));
        }
        Json::Array(nodes) => nodes.iter().for_each(|node| assert_documented(node, place)),
        _ => {}
    }
}

/// Avro as JSON, with bytes as one character each.
fn printed(value: Value) -> Json {
    match value {
        // Avro took the text in as UTF-8.
        Value::Bytes(bytes) => Json::String(String::from_utf8(bytes).unwrap()),
        Value::Union(_, value) => printed(*value),
        Value::Array(values) => values.into_iter().map(printed).collect(),
        Value::Record(fields) => Json::Object(
            fields.into_iter().map(|(name, value)| (name, printed(value))).collect::<Map<_, _>>(),
        ),
        other => other.try_into().unwrap(),
    }
}
