//! What `docker-compose.yml`, `deploy/Dockerfile` and `deploy/kubernetes/` say, held against the program: its
//! commands, settings, routes, port and state directory. Each rule is a pure function that answers with
//! complaints; beside the tests that ask it about the real files stands one that proves it can complain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use paczek::Config;
use serde_json::Value;

const COMPOSE: &str = "docker-compose.yml";
const DOCKERFILE: &str = "deploy/Dockerfile";
const KUBERNETES: &str = "deploy/kubernetes";

/// The commands that run for good; all others end.
const PROCESSORS: [&str; 3] = ["ingest", "profile-updater", "recommender"];
/// What is asked of each of them.
const PROBED: [&str; 2] = ["/healthz", "/readyz"];

#[test]
fn every_container_runs_a_command_that_the_program_has() {
    assert_none(every_container().iter().flat_map(|container| command_complaints(container, is_command)));
}

#[test]
fn compose_and_kubernetes_run_each_processor_once_and_make_the_topics() {
    let wanted = PROCESSORS.into_iter().chain(["topics apply"]).collect::<BTreeSet<_>>();
    for (place, containers) in [(COMPOSE, composed()), (KUBERNETES, orchestrated())] {
        let commands: Vec<String> = containers.iter().map(Container::command).collect();
        assert_eq!(commands.len(), wanted.len(), "{place}");
        assert_eq!(commands.iter().map(String::as_str).collect::<BTreeSet<_>>(), wanted, "{place}");
    }
}

#[test]
fn every_container_is_set_up_with_settings_that_the_program_reads() {
    assert_none(every_container().iter().filter_map(|container| container.config().err()));
}

#[test]
fn every_processor_keeps_its_state_on_a_volume_of_its_own() {
    assert_none(every_processor().iter().flat_map(state_complaints));
    let volumes: Vec<String> =
        composed().into_iter().flat_map(|container| container.volumes).map(|(_, name)| name).collect();
    assert_eq!(volumes.iter().collect::<BTreeSet<_>>().len(), volumes.len(), "two share one of {volumes:?}");
}

#[test]
fn every_processor_is_probed_where_it_answers() {
    let sources = read(&root().join("crates/paczek/src/http.rs"));
    let answers = |path: &str| sources.contains(&format!("\"{path}\""));
    assert_none(every_processor().iter().flat_map(|container| probe_complaints(container, answers)));
}

#[test]
fn every_image_has_a_version_and_ours_is_that_of_the_program() {
    assert_none(every_container().iter().filter_map(|container| image_complaint(&container.image)));
    assert_none(stages(&read(&root().join(DOCKERFILE))).iter().filter_map(|image| image_complaint(image)));
}

#[test]
fn mistakes_in_a_container_are_refused() {
    let good = || Container {
        place: "here".to_owned(),
        image: format!("paczek:{}", env!("CARGO_PKG_VERSION")),
        arguments: vec!["ingest".to_owned()],
        environment: variables(&[("PACZEK_HTTP", "0.0.0.0:80"), ("PACZEK_STATE_DIR", "/state")]),
        file: Some("[kafka]\nreplication = 3".to_owned()),
        volumes: variables(&[("/state", "state")]),
        port: Some(80),
        probes: vec![(80, "/healthz".to_owned()), (80, "/readyz".to_owned())],
    };
    let complaints = |container: &Container| {
        let of_commands = command_complaints(container, is_command);
        let of_probes = probe_complaints(container, |path| PROBED.contains(&path));
        let of_config = container.config().err().into_iter().collect();
        let of_image = image_complaint(&container.image).into_iter().collect();
        [of_commands, of_probes, of_config, of_image, state_complaints(container)].concat().len()
    };
    assert_eq!(complaints(&good()), 0);
    let set = |name: &str, value: &str| {
        let mut environment = good().environment;
        environment.insert(name.to_owned(), value.to_owned());
        Container { environment, ..good() }
    };
    for wrong in [
        Container { arguments: vec!["bake".to_owned()], ..good() },
        Container { file: Some("[kafka]\nreplicas = 3".to_owned()), ..good() },
        Container { volumes: variables(&[("/elsewhere", "state")]), ..good() },
        Container { port: Some(81), ..good() },
        Container { probes: vec![(80, "/healthz".to_owned())], ..good() },
        Container { probes: vec![(81, "/healthz".to_owned()), (80, "/readyz".to_owned())], ..good() },
        Container { image: "paczek".to_owned(), ..good() },
        Container { image: "paczek:0.0.0".to_owned(), ..good() },
        set("PACZEK_KAFKA__BOOTSTRP", "kafka:9092"),
        set("PACZEK_HTTP", "127.0.0.1:80"),
    ] {
        assert!(complaints(&wrong) > 0, "let through: {wrong:?}");
    }
}

#[test]
fn compose_runs_the_kafka_that_the_tests_run() {
    let tested = between(&read(&root().join("deploy/kafka/pom.xml")), "<kafka>", "</kafka>");
    assert_eq!(text(&compose(), "/services/kafka/image"), format!("apache/kafka:{tested}"));
}

#[test]
fn compose_listens_on_loopback_only() {
    let published = texts(&compose(), "/services", "/ports");
    assert_eq!(published.len(), 1 + PROCESSORS.len());
    assert_none(published.iter().filter_map(|port| loopback_complaint(port)));
    assert!(loopback_complaint("8480:8480").is_some() && loopback_complaint("0.0.0.0:1:1").is_some());
}

#[test]
fn kafka_in_compose_is_found_where_the_programs_look() {
    let advertised = text(&compose(), "/services/kafka/environment/KAFKA_ADVERTISED_LISTENERS");
    let addresses: Vec<&str> = advertised.split(',').filter_map(|one| one.split("://").nth(1)).collect();
    for container in composed() {
        let config = must(container.config(), "config");
        assert!(addresses.contains(&config.kafka.bootstrap.as_str()), "{}: {addresses:?}", container.place);
    }
    // A program on the machine itself finds it without being told.
    let outside = Config::default().kafka.bootstrap;
    let port = outside.split(':').nth(1).unwrap_or_default();
    assert!(addresses.contains(&outside.as_str()), "{outside} is none of {addresses:?}");
    assert!(texts(&compose(), "/services", "/ports").contains(&format!("{outside}:{port}")));
}

#[test]
fn compose_starts_a_processor_when_kafka_is_up_and_the_topics_are_there() {
    let condition =
        |service: &str, on: &str| text(&compose(), &format!("/services/{service}/depends_on/{on}/condition"));
    assert_eq!(condition("topics", "kafka"), "service_healthy");
    for processor in PROCESSORS {
        assert_eq!(condition(processor, "topics"), "service_completed_successfully", "{processor}");
    }
}

#[test]
fn every_pod_runs_without_rights_that_it_does_not_need() {
    let user: i64 = must(word_after(&read(&root().join(DOCKERFILE)), "USER").parse(), "USER is a number");
    let pods = pods();
    assert_eq!(pods.len(), 1 + PROCESSORS.len());
    assert_none(pods.iter().flat_map(|(place, pod)| right_complaints(place, pod, user)));
    let lax: Value = must(serde_json::from_str(r#"{"containers": [{}]}"#), "a pod");
    assert_eq!(right_complaints("here", &lax, user).len(), 8);
}

#[test]
fn every_stateful_set_is_complete() {
    for (place, set) in manifests().iter().filter(|(_, manifest)| manifest["kind"] == "StatefulSet") {
        let labels = &set["spec"]["template"]["metadata"]["labels"];
        let name = &set["metadata"]["name"];
        assert_eq!(&set["spec"]["selector"]["matchLabels"], labels, "{place}");
        assert_eq!(&set["spec"]["serviceName"], name, "{place}");
        assert!(
            set["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_i64() >= Some(30),
            "{place}"
        );
        for (kind, selector) in
            [("Service", "/spec/selector"), ("PodDisruptionBudget", "/spec/selector/matchLabels")]
        {
            let manifests = manifests();
            let beside =
                manifests.iter().find(|(_, one)| one["kind"] == kind && &one["metadata"]["name"] == name);
            let selected = beside.and_then(|(_, one)| one.pointer(selector));
            assert_eq!(selected, Some(labels), "{place}: its {kind} selects others");
        }
    }
}

#[test]
fn every_manifest_is_in_the_namespace_that_comes_first() {
    let manifests = manifests();
    let (_, first) = must(manifests.first().ok_or("empty"), KUBERNETES);
    assert_eq!(first["kind"], "Namespace");
    for (place, manifest) in &manifests[1..] {
        assert_eq!(manifest["metadata"]["namespace"], first["metadata"]["name"], "{place}");
    }
}

#[test]
fn the_image_is_built_from_what_is_there_and_runs_as_nobody_in_particular() {
    let dockerfile = read(&root().join(DOCKERFILE));
    let copied = copied(&dockerfile);
    assert!(copied.contains(&"crates"), "{copied:?}");
    assert_none(
        copied
            .iter()
            .filter(|path| !root().join(path).exists())
            .map(|path| format!("COPY {path}: not there")),
    );
    let last = dockerfile.rfind("\nFROM ").unwrap_or_default();
    let (user, start) = (dockerfile.rfind("\nUSER "), dockerfile.rfind("\nENTRYPOINT "));
    assert!(Some(last) < user && user < start, "the program starts as root");
    assert_eq!(word_after(&dockerfile, "ENTRYPOINT"), r#"["paczek"]"#);
    let port = must(port_of(&image_settings()["PACZEK_HTTP"]).ok_or("for nobody to reach"), "PACZEK_HTTP");
    assert_eq!(word_after(&dockerfile, "EXPOSE"), port.to_string());
    let asked = between(&dockerfile[last..], "HEALTHCHECK", "ENTRYPOINT");
    assert!(asked.contains(&format!("\"http://127.0.0.1:{port}{}\"", PROBED[0])), "{asked}");
}

// --- rules ---

/// A container as compose or Kubernetes starts it.
#[derive(Clone, Debug)]
struct Container {
    place: String,
    image: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    /// The configuration file that it is given.
    file: Option<String>,
    /// What outlives it: directories, and the names of the volumes.
    volumes: BTreeMap<String, String>,
    port: Option<u16>,
    /// Ports and paths.
    probes: Vec<(u16, String)>,
}

impl Container {
    fn command(&self) -> String {
        self.arguments.join(" ")
    }

    /// What the program makes of its file and environment.
    fn config(&self) -> Result<Config, String> {
        let file = must(tempfile::NamedTempFile::new(), "a file");
        must(fs::write(file.path(), self.file.as_deref().unwrap_or_default()), "a file");
        let read = Config::read(Some(file.path()), self.environment.clone().into_iter());
        read.map_err(|problem| format!("{}: {problem}", self.place))
    }
}

fn command_complaints(container: &Container, is_command: impl Fn(&[String]) -> bool) -> Vec<String> {
    let unknown = || format!("{}: there is no command `paczek {}`", container.place, container.command());
    if is_command(&container.arguments) { Vec::new() } else { vec![unknown()] }
}

fn state_complaints(container: &Container) -> Vec<String> {
    let Ok(config) = container.config() else { return Vec::new() };
    let directory = config.state_dir.display().to_string();
    let lost = || format!("{}: {directory} is on no volume", container.place);
    if container.volumes.contains_key(&directory) { Vec::new() } else { vec![lost()] }
}

fn probe_complaints(container: &Container, answers: impl Fn(&str) -> bool) -> Vec<String> {
    let listening = container.config().ok().and_then(|config| port_of(&config.http));
    let mut complaints = Vec::new();
    if listening.is_none() || container.port != listening {
        complaints
            .push(format!("{}: listens on {listening:?}, shown as {:?}", container.place, container.port));
    }
    let paths: Vec<&str> = container.probes.iter().map(|(_, path)| path.as_str()).collect();
    complaints.extend(
        PROBED
            .iter()
            .filter(|path| !paths.contains(path))
            .map(|path| format!("{}: nobody asks {path}", container.place)),
    );
    for (port, path) in &container.probes {
        if Some(*port) != listening || !answers(path) {
            complaints.push(format!("{}: nothing answers {path} on {port}", container.place));
        }
    }
    complaints
}

/// The port of an address that others can reach.
fn port_of(address: &str) -> Option<u16> {
    let address: std::net::SocketAddr = address.parse().ok()?;
    address.ip().is_unspecified().then_some(address.port())
}

fn image_complaint(image: &str) -> Option<String> {
    let (name, tag) = image.split_once(':').unwrap_or((image, ""));
    let exact = tag.split('-').next().is_some_and(|version| version.contains('.'));
    let ours = name != "paczek" || tag == env!("CARGO_PKG_VERSION");
    (!exact || !ours).then(|| format!("{image}: not one exact version"))
}

fn loopback_complaint(port: &str) -> Option<String> {
    (!port.starts_with("127.0.0.1:")).then(|| format!("{COMPOSE}: the port {port} is open to the network"))
}

fn right_complaints(place: &str, pod: &Value, user: i64) -> Vec<String> {
    let wanted = [
        ("/securityContext/runAsNonRoot", true.into()),
        ("/securityContext/runAsUser", user.into()),
        ("/securityContext/seccompProfile/type", "RuntimeDefault".into()),
        ("/automountServiceAccountToken", false.into()),
        ("/enableServiceLinks", false.into()),
        ("/containers/0/securityContext/allowPrivilegeEscalation", false.into()),
        ("/containers/0/securityContext/readOnlyRootFilesystem", true.into()),
        ("/containers/0/securityContext/capabilities/drop/0", "ALL".into()),
    ];
    let differs = |(path, value): &(&str, Value)| pod.pointer(path) != Some(value);
    wanted
        .into_iter()
        .filter(differs)
        .map(|(path, value)| format!("{place}: {path} is not {value}"))
        .collect()
}

// --- what the files say ---

fn every_container() -> Vec<Container> {
    [composed(), orchestrated()].concat()
}

fn every_processor() -> Vec<Container> {
    every_container().into_iter().filter(|one| PROCESSORS.contains(&one.command().as_str())).collect()
}

/// The containers of compose that are ours.
fn composed() -> Vec<Container> {
    let compose = compose();
    let services = compose["services"].as_object().into_iter().flatten();
    let ours = services.filter(|(_, service)| text(service, "/image").starts_with("paczek"));
    ours.map(|(name, service)| composed_container(name, service, &compose["volumes"])).collect()
}

fn composed_container(name: &str, service: &Value, volumes: &Value) -> Container {
    let set = service["environment"].as_object().into_iter().flatten();
    // One without a value is taken from the shell of whoever starts it.
    let set = set.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let mounts = texts(service, "", "/volumes");
    let mounts = mounts
        .iter()
        .filter_map(|mount| mount.split_once(':'))
        .filter(|(name, _)| volumes.get(name).is_some());
    let probed = texts(service, "", "/healthcheck/test");
    let probed = probed.iter().filter_map(|url| url.strip_prefix("http://127.0.0.1:")?.split_once('/'));
    let ports = texts(service, "", "/ports");
    Container {
        place: format!("{COMPOSE}, {name}"),
        image: text(service, "/image"),
        arguments: texts(service, "", "/command"),
        environment: image_settings().into_iter().chain(set).collect(),
        file: None,
        volumes: mounts.map(|(name, path)| (path.to_owned(), name.to_owned())).collect(),
        port: ports.first().and_then(|port| port.rsplit(':').next()?.parse().ok()),
        probes: probed.filter_map(|(port, path)| Some((port.parse().ok()?, format!("/{path}")))).collect(),
    }
}

/// The containers of all pods.
fn orchestrated() -> Vec<Container> {
    let manifests = manifests();
    let kept = |place: &str| {
        let (_, set) = manifests.iter().find(|(other, _)| other == place)?;
        set.pointer("/spec/volumeClaimTemplates/0/metadata/name").and_then(Value::as_str).map(str::to_owned)
    };
    pods().iter().map(|(place, pod)| orchestrated_container(place, pod, kept(place), &manifests)).collect()
}

fn orchestrated_container(
    place: &str,
    pod: &Value,
    kept: Option<String>,
    manifests: &[(String, Value)],
) -> Container {
    let container = &pod["containers"][0];
    let set = container["env"].as_array().into_iter().flatten();
    let set = set.map(|one| (text(one, "/name"), text(one, "/value")));
    let environment: BTreeMap<String, String> = image_settings().into_iter().chain(set).collect();
    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
    let mounts: BTreeMap<String, String> =
        mounts.map(|mount| (text(mount, "/mountPath"), text(mount, "/name"))).collect();
    let port = container
        .pointer("/ports/0/containerPort")
        .and_then(Value::as_u64)
        .and_then(|port| u16::try_from(port).ok());
    let named = text(container, "/ports/0/name");
    let probe = |kind: &str| {
        let asked = container.pointer(&format!("/{kind}/httpGet"))?;
        (text(asked, "/port") == named).then(|| Some((port?, text(asked, "/path"))))?
    };
    Container {
        place: place.to_owned(),
        image: text(container, "/image"),
        arguments: texts(container, "", "/args"),
        file: environment.get("PACZEK_CONFIG").map(|path| mounted(path, &mounts, pod, manifests)),
        environment,
        volumes: mounts.into_iter().filter(|(_, name)| Some(name) == kept.as_ref()).collect(),
        port,
        probes: ["livenessProbe", "readinessProbe"].into_iter().filter_map(probe).collect(),
    }
}

/// The text of a file that a pod finds in a ConfigMap.
fn mounted(
    path: &str,
    mounts: &BTreeMap<String, String>,
    pod: &Value,
    manifests: &[(String, Value)],
) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap_or_default();
    let volume = mounts.get(folder).cloned().unwrap_or_default();
    let volumes = pod["volumes"].as_array().into_iter().flatten();
    let source =
        volumes.filter(|one| one["name"] == volume.as_str()).map(|one| text(one, "/configMap/name")).next();
    let map = manifests
        .iter()
        .find(|(_, one)| one["kind"] == "ConfigMap" && source == Some(text(one, "/metadata/name")));
    let text = map.and_then(|(_, map)| map["data"][file].as_str());
    must(text.ok_or("no ConfigMap holds it"), path).to_owned()
}

/// Every pod, with the place where it is described.
fn pods() -> Vec<(String, Value)> {
    let described =
        |(place, manifest): (String, Value)| Some((place, manifest.pointer("/spec/template/spec")?.clone()));
    manifests().into_iter().filter_map(described).collect()
}

/// Every manifest in the order in which they are applied.
fn manifests() -> Vec<(String, Value)> {
    let mut files: Vec<PathBuf> =
        must(fs::read_dir(root().join(KUBERNETES)), KUBERNETES).flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().display().to_string();
        let documents: Vec<Value> =
            must(serde_saphyr::from_multiple(&read(&file)), &file.display().to_string());
        found.extend(
            documents.into_iter().map(|one| (format!("{KUBERNETES}/{name}, {}", text(&one, "/kind")), one)),
        );
    }
    found
}

fn compose() -> Value {
    must(serde_saphyr::from_str(&read(&root().join(COMPOSE))), COMPOSE)
}

/// What the image sets for whoever runs it.
fn image_settings() -> BTreeMap<String, String> {
    let dockerfile = read(&root().join(DOCKERFILE));
    let lines = dockerfile.lines().filter_map(|line| line.strip_prefix("ENV "));
    let pairs = lines.flat_map(str::split_whitespace).filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The images that a Dockerfile begins with.
fn stages(dockerfile: &str) -> Vec<String> {
    let lines = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM "));
    lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// What a Dockerfile takes from the checkout.
fn copied(dockerfile: &str) -> Vec<&str> {
    let lines = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"));
    lines.flat_map(|line| line.rsplit_once(' ').map_or("", |(sources, _)| sources).split(' ')).collect()
}

fn word_after(text: &str, word: &str) -> String {
    let line = text.lines().rev().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    line.unwrap_or_default().split(':').next().unwrap_or_default().to_owned()
}

fn between(text: &str, start: &str, end: &str) -> String {
    let rest = text.split(start).nth(1).unwrap_or_default();
    rest.split(end).next().unwrap_or_default().to_owned()
}

/// The text at a path, empty where there is none.
fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The texts of the lists at `list`, in the value itself or in each of those at `each`.
fn texts(value: &Value, each: &str, list: &str) -> Vec<String> {
    let of = |value: &Value| value.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
    let lists: Vec<Value> = match value.pointer(each).and_then(Value::as_object).filter(|_| !each.is_empty())
    {
        Some(members) => members.values().flat_map(of).collect(),
        None => of(value),
    };
    lists.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether the program has such a command.
fn is_command(arguments: &[String]) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paczek"));
    must(command.args(arguments).arg("--help").output(), "paczek").status.success()
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(file: &Path) -> String {
    must(fs::read_to_string(file), &file.display().to_string())
}

fn must<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn assert_none(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
