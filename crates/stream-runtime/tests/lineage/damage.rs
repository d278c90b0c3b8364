use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use state_store::{RocksOptions, open_sound};
use stream_runtime::store_key;

use crate::shop::{OneWorker, Shop};
use crate::sums::PARTITIONS;

/// What the changelog of a partition comes to: of each key the newest value.
fn fold(shop: &Shop, partition: i32) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let records = shop.records("changelog").into_iter().filter(|record| record.partition == partition);
    let row = |key: Vec<u8>| store_key(&key).map(<[u8]>::to_vec);
    records.filter_map(|record| Some((row(record.key?)?, record.value?))).collect()
}

/// Every store holds what its changelog says, no more and no less.
fn assert_stores_equal_changelogs(shop: &Shop, worker: &OneWorker) {
    for partition in 0..PARTITIONS {
        let opened = open_sound(&worker.store(shop, partition), &RocksOptions::default()).unwrap();
        let mut rows = BTreeMap::new();
        opened.store.scan(|key, row| drop(rows.insert(key.to_vec(), row.value))).unwrap();
        assert_eq!(rows, fold(shop, partition), "partition {partition}");
    }
}

fn file(directory: &Path, kind: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        (name.starts_with(kind) || name.ends_with(kind)) && fs::metadata(path).unwrap().len() > 0
    };
    entries.filter(is_one).max()
}

/// Turns every hundredth byte over.
fn spoil(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes.iter_mut().step_by(100).for_each(|byte| *byte ^= 0x55);
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_worker_goes_on_with_a_new_store_where_one_is_damaged_lost_or_behind() {
    for kind in ["CURRENT", "MANIFEST", ".log", ".sst", "directory"] {
        let (shop, worker) = (Shop::open(), OneWorker::named("one"));
        shop.write(2_000);
        shop.work(&worker).unwrap();
        // Opened once more, what its log held lies in files too.
        assert_stores_equal_changelogs(&shop, &worker);
        for partition in 0..PARTITIONS {
            let directory = worker.store(&shop, partition);
            match file(&directory, kind) {
                Some(file) => spoil(&file),
                None => fs::remove_dir_all(directory).unwrap(),
            }
        }
        shop.write(2_000);
        shop.work(&worker).unwrap();
        assert_eq!(shop.sums(), shop.expected(), "{kind}");
        assert_stores_equal_changelogs(&shop, &worker);
    }
}
