//! A configuration as text: what the environment sets over it, and what is said of a mistake in it.

/// Of the variables with our prefix, the ones that are the command line's: which file to read, and what to log.
const NOT_VALUES: [&str; 2] = ["CONFIG", "LOG"];

/// Kubernetes gives every container variables about services, also about one called paczek.
pub(super) fn is_value(path: &str) -> bool {
    let of_a_service = ["SERVICE_", "PORT_"].iter().any(|start| path.starts_with(start)) || path == "PORT";
    !NOT_VALUES.contains(&path) && !of_a_service
}

/// Sets the value at a path such as `SOURCES__0__FORMAT`. The text is read as TOML where it is TOML, else as
/// it stands.
pub(super) fn set(table: &mut toml::Table, path: &str, text: &str) -> Result<(), String> {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"));
    let lower = path.to_lowercase();
    let (parents, last) = lower.rsplit_once("__").unwrap_or(("", &lower));
    let mut place = table;
    let mut parts = parents.split("__").filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let next = match parts.peek().map(|index| index.parse::<usize>()) {
            Some(Ok(index)) => {
                parts.next();
                element(place, part, index)?
            }
            _ => place.entry(part).or_insert_with(|| toml::Table::new().into()),
        };
        place = next.as_table_mut().ok_or_else(|| format!("{part} is no table"))?;
    }
    // Kafka's own properties have dots and no upper case.
    let property = parents.ends_with("properties");
    let last = if property { last.replace('_', ".") } else { last.to_owned() };
    let as_it_stands = || toml::Value::String(text.to_owned());
    place.insert(last, parsed.filter(|_| !property).unwrap_or_else(as_it_stands));
    Ok(())
}

fn element<'a>(table: &'a mut toml::Table, name: &str, index: usize) -> Result<&'a mut toml::Value, String> {
    // A list that the file leaves out has the one element that is its default.
    let list = table.entry(name).or_insert_with(|| toml::Value::Array(vec![toml::Table::new().into()]));
    let list = list.as_array_mut().ok_or_else(|| format!("{name} is no list"))?;
    if index > list.len() || index >= 100 {
        return Err(format!("{name} has {} elements, so the next is number {}", list.len(), list.len()));
    }
    if index == list.len() {
        list.push(toml::Table::new().into());
    }
    Ok(&mut list[index])
}

/// The parser's words with the place, and for an unknown field the known one that is nearest. The line itself
/// is not repeated: a secret may stand in it.
pub(super) fn explain(error: &toml::de::Error, source: &str) -> String {
    let place = error.span().and_then(|span| source.get(..span.start));
    let place =
        place.map_or_else(String::new, |before| format!("line {}: ", before.matches('\n').count() + 1));
    let text = format!("{place}{}", error.message());
    let mut names = text.split('`').skip(1).step_by(2);
    let unknown = text.contains("unknown field").then(|| names.next()).flatten();
    let nearest = unknown.and_then(|unknown| {
        let known = names.map(|name| (strsim::osa_distance(unknown, name), name)).min();
        known.filter(|(distance, name)| *distance <= 2.max(name.len() / 3)).map(|(_, name)| name)
    });
    match nearest {
        Some(nearest) => format!("{text}; did you mean `{nearest}`?"),
        None => text,
    }
}
