//! The made-up shop as a file.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use serde_json::{Value, json};
use simulator::{Abandoned, Generator, Options, Truth};

use crate::problem::Problem;

/// Writes the lines of the shop to standard output, in their order of arrival, and its truth to a file.
pub(crate) fn generate(options: Options, truth: Option<&Path>) -> Result<(), Problem> {
    let mut generator = Generator::new(options);
    match write_lines(&mut generator, std::io::stdout().lock()) {
        // Whoever read along has had enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
        written => written.map_err(|error| Problem::Failed(format!("standard output: {error}")))?,
    }
    let Some(path) = truth else { return Ok(()) };
    let failed = |source: std::io::Error| Problem::File { path: path.to_owned(), source };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    serde_json::to_writer(&mut file, &told(generator.truth())).map_err(|error| failed(error.into()))?;
    file.flush().map_err(failed)
}

fn write_lines(generator: &mut Generator, out: impl Write) -> std::io::Result<()> {
    let mut out = BufWriter::new(out);
    for line in generator {
        out.write_all(&line.value)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn told(truth: &Truth) -> Value {
    let counts = truth.counts();
    let visits: serde_json::Map<String, Value> =
        truth.visits().into_iter().map(|(ending, count)| (ending.name().to_owned(), count.into())).collect();
    json!({
        "lines": counts.lines,
        "accepted": counts.accepted,
        "duplicates": counts.duplicates,
        "malformed": counts.malformed,
        "by_bots": counts.by_bots,
        "visits": visits,
        "abandoned_carts": truth.outcomes().map(|(left, bought)| cart(&left, bought)).collect::<Vec<_>>(),
    })
}

fn cart(left: &Abandoned, bought: bool) -> Value {
    let line = |((product, variant), quantity): (&(String, Option<String>), &i32)| json!({ "product_id": product, "variant_id": variant, "quantity": quantity });
    json!({
        "tenant": left.profile.tenant(),
        "profile": left.profile.id(),
        "cart_key": left.cart_key,
        "abandoned_at": left.abandoned_at.0,
        "lines": left.content.iter().map(line).collect::<Vec<_>>(),
        "bought_after_all": bought,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_of_a_shop_names_every_cart_that_was_left() {
        let mut generator = Generator::new(Options::new(1, 3_000));
        let mut lines = Vec::new();
        write_lines(&mut generator, &mut lines).unwrap();
        assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 3_000);
        let truth = told(generator.truth());
        let carts = truth["abandoned_carts"].as_array().unwrap();
        assert_eq!(
            (truth["lines"].as_u64(), carts.len()),
            (Some(3_000), generator.truth().abandoned_carts())
        );
        assert!(carts.len() > 10, "{}", carts.len());
        assert!(carts.iter().all(|cart| cart["lines"][0]["quantity"].as_i64() > Some(0)));
        assert!(carts.iter().any(|cart| cart["bought_after_all"] == true));
        assert!(carts.iter().any(|cart| cart["bought_after_all"] == false));
    }
}
