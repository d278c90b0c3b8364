//! A network that fails on purpose: it stands between clients and brokers, and delays, cuts, swallows, or holds one
//! request back and lets it go in a later transaction.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::cluster::Nodes;
use crate::request::{self, Request};

/// Largest request that is passed on, in bytes; longer ones end their connection.
const LARGEST: usize = 32 << 20;
/// Between two looks at a network that is dark.
const LOOK: Duration = Duration::from_millis(50);
/// After the request that it waits for, a held one follows so much later.
const SOON_AFTER: Duration = Duration::from_millis(5);
/// How long the broker may take to answer it.
const ANSWER: Duration = Duration::from_secs(5);

/// A running proxy before every node of a cluster. Its threads end with their connections.
pub(crate) struct Proxy {
    /// Where clients find the cluster through it.
    pub(crate) bootstrap: String,
    network: Arc<Network>,
    ports: Vec<u16>,
}

/// What befalls what passes.
#[derive(Default)]
struct Network {
    /// Added to each way, in milliseconds.
    delay: AtomicU64,
    /// Nothing passes, and nobody is told.
    dark: AtomicBool,
    /// Of a thousand requests, so many end their connection instead of passing.
    cut: AtomicU64,
    held: Mutex<Hold>,
    /// Nobody is let in any more.
    closed: AtomicBool,
}

/// One request that is held back.
#[derive(Default)]
enum Hold {
    #[default]
    Off,
    /// The next EndTxn of a transactional id with this in it.
    Armed(String),
    /// It was taken, and its client cut off, which asks once more.
    Taken(Held),
    /// The client has asked once more, and has been answered; so many of its records pass before.
    Repeated(Held, u64),
    Released(Answer),
}

struct Held {
    id: String,
    frame: Vec<u8>,
    broker: TcpStream,
    /// What the broker says on its connection from now on.
    answers: Receiver<Vec<u8>>,
}

/// One connection, as whoever takes its requests sees it.
struct Link {
    broker: TcpStream,
    requests: Frames,
    /// Once a request is held, who hears the answer instead of the client.
    late: Late,
}

type Late = Arc<Mutex<Option<Sender<Vec<u8>>>>>;

/// What the broker said to the request that came too late: an error code of Kafka's, 0 for none.
pub(crate) type Answer = Result<i16, String>;

impl Proxy {
    /// Begins to stand before every node.
    pub(crate) fn start(cluster: &Nodes) -> Self {
        let network = Arc::new(Network::default());
        let ports = cluster.proxied();
        for (broker, own) in &ports {
            let listener = TcpListener::bind(("127.0.0.1", *own)).expect("the proxy's port is free");
            let (network, broker) = (Arc::clone(&network), *broker);
            std::thread::spawn(move || {
                for (number, client) in listener.incoming().flatten().enumerate() {
                    if network.closed.load(Ordering::Relaxed) {
                        return;
                    }
                    connect(client, broker, &network, number as u64);
                }
            });
        }
        let addresses: Vec<String> = ports.iter().map(|(_, own)| format!("127.0.0.1:{own}")).collect();
        let ports = ports.into_iter().map(|(_, own)| own).collect();
        Self { bootstrap: addresses.join(","), network, ports }
    }

    /// Everything takes so much longer, each way.
    pub(crate) fn delay(&self, time: Duration) {
        self.network.delay.store(u64::try_from(time.as_millis()).expect("small"), Ordering::Relaxed);
    }

    /// Whether nothing passes any more.
    pub(crate) fn darken(&self, dark: bool) {
        self.network.dark.store(dark, Ordering::Relaxed);
    }

    /// Of a thousand requests, so many end their connection.
    pub(crate) fn cut(&self, permille: u64) {
        self.network.cut.store(permille, Ordering::Relaxed);
    }

    /// Holds the next EndTxn of a transactional id with this in it.
    pub(crate) fn hold_end_of_transaction(&self, of: &str) {
        *lock(&self.network.held) = Hold::Armed(of.to_owned());
    }

    /// What became of it: nothing, as long as it is held.
    pub(crate) fn released(&self) -> Option<Answer> {
        match &*lock(&self.network.held) {
            Hold::Released(answer) => Some(answer.clone()),
            _ => None,
        }
    }

    /// Holds nothing any more.
    pub(crate) fn let_go(&self) {
        *lock(&self.network.held) = Hold::Off;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.closed.store(true, Ordering::Relaxed);
        // One more visitor each, so that who waits for one looks up and leaves the port.
        for port in &self.ports {
            let _ = TcpStream::connect(("127.0.0.1", *port));
        }
    }
}

type Frames = Sender<(Instant, Vec<u8>)>;

/// Two threads for each way: one takes, one passes on when the time has come.
fn connect(client: TcpStream, broker: u16, network: &Arc<Network>, number: u64) {
    let Ok(upstream) = TcpStream::connect(("127.0.0.1", broker)) else { return };
    // A connection that cannot be set up is one that was cut.
    let (Ok(client_too), Ok(upstream_too)) = (client.try_clone(), upstream.try_clone()) else { return };
    let (Ok(client_end), Ok(upstream_end)) = (client.try_clone(), upstream.try_clone()) else { return };
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let (requests, to_broker) = channel();
    let (answers, to_client) = channel();
    let (there, back) = (Arc::clone(network), Arc::clone(network));
    let link = Link { broker: upstream_end, requests, late: Late::default() };
    let late = Arc::clone(&link.late);
    std::thread::spawn(move || {
        let held = take_requests(client, &link, &there, &mut Rng::with_seed(number));
        let _ = client_end.shutdown(Shutdown::Both);
        // A request that is held still has its way to the broker.
        if !held {
            let _ = link.broker.shutdown(Shutdown::Both);
        }
    });
    std::thread::spawn(move || take_answers(upstream_too, &back, &answers, &late));
    let (there, back) = (Arc::clone(network), Arc::clone(network));
    std::thread::spawn(move || pass_on(&to_broker, upstream, &there));
    std::thread::spawn(move || pass_on(&to_client, client_too, &back));
}

/// Passes requests on until the connection ends; true if one of it is held.
fn take_requests(mut client: TcpStream, link: &Link, network: &Network, chance: &mut Rng) -> bool {
    while let Some(frame) = read_frame(&mut client) {
        if chance.u64(..1_000) < network.cut.load(Ordering::Relaxed) {
            return false;
        }
        let request = request::read(&frame[4..]);
        if let Some(request) = &request
            && network.takes(request, &frame, link)
        {
            return true;
        }
        if link.requests.send((network.due(), frame)).is_err() {
            return false;
        }
        if let Some(request) = request {
            network.passed(&request);
        }
    }
    false
}

fn take_answers(mut broker: TcpStream, network: &Network, answers: &Frames, late: &Late) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = broker.read(&mut buffer) {
        if let Some(late) = &*lock(late) {
            // Whoever waited for it may have given up.
            let _ = late.send(buffer[..length].to_vec());
            continue;
        }
        if answers.send((network.due(), buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}

fn pass_on(frames: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream, network: &Network) {
    while let Ok((due, bytes)) = frames.recv() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        while network.dark.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
        }
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// The next request with its length before it; `None` at the end.
fn read_frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let size = usize::try_from(u32::from_be_bytes(length)).ok().filter(|size| *size <= LARGEST)?;
    let mut frame = length.to_vec();
    frame.resize(4 + size, 0);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

impl Network {
    fn due(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.delay.load(Ordering::Relaxed))
    }

    /// Whether it takes this request out of the way. The same request once more, from the client that was cut off,
    /// passes; from then on the client's next transaction is waited for.
    fn takes(&self, request: &Request, frame: &[u8], link: &Link) -> bool {
        if request.kind != request::END_TRANSACTION {
            return false;
        }
        let mut hold = lock(&self.held);
        match &*hold {
            Hold::Armed(of) if request.transactional_id.contains(of.as_str()) => {
                let Ok(broker) = link.broker.try_clone() else { return false };
                let (id, (late, answers)) = (request.transactional_id.clone(), channel());
                *lock(&link.late) = Some(late);
                *hold = Hold::Taken(Held { id, frame: frame.to_vec(), broker, answers });
                true
            }
            _ => {
                *hold = match std::mem::take(&mut *hold) {
                    Hold::Taken(held) if held.id == request.transactional_id => Hold::Repeated(held, 1),
                    other => other,
                };
                false
            }
        }
    }

    /// A request went to the broker. If it carries the records of a later transaction of the same id, the held
    /// request follows it.
    fn passed(&self, request: &Request) {
        if request.kind != request::PRODUCE {
            return;
        }
        let mut hold = lock(&self.held);
        *hold = match std::mem::take(&mut *hold) {
            Hold::Repeated(held, 0) if held.id == request.transactional_id => {
                std::thread::sleep(SOON_AFTER);
                Hold::Released(deliver(held))
            }
            Hold::Repeated(held, more) if held.id == request.transactional_id => {
                Hold::Repeated(held, more - 1)
            }
            other => other,
        };
    }
}

/// Sends the held request on its old way; what the broker answers.
fn deliver(mut held: Held) -> Answer {
    held.broker.write_all(&held.frame).map_err(|error| error.to_string())?;
    let answer = held.answers.recv_timeout(ANSWER).map_err(|_| "no answer")?;
    answer.get(4..).and_then(request::error_of_end).ok_or_else(|| "an answer of another form".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
