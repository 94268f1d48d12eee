//! What the connections of a process share: what they may do, whether they are to end, and whether they have.

use crate::peer::{complaints::Complaints, rules::Rules};
use infermesh_telemetry::Log;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout};

pub struct Connections {
    pub rules: Rules,
    /// Beyond these, connections are refused.
    max: usize,
    log: Arc<Log>,
    complaints: Complaints,
    /// True from the moment new requests are refused.
    draining: watch::Sender<bool>,
    /// Each connection holds a receiver of this; it is closed when the last one is gone.
    alive: watch::Sender<()>,
}

/// A connection that exists, for as long as this does.
pub struct Alive(#[expect(dead_code, reason = "it is counted")] watch::Receiver<()>);

impl Connections {
    pub fn new(rules: Rules, max: usize, log: Arc<Log>) -> Self {
        Self {
            rules,
            max,
            log,
            complaints: Complaints::default(),
            draining: watch::Sender::new(false),
            alive: watch::Sender::new(()),
        }
    }

    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Ends when connections have to.
    pub async fn drained(&self) {
        // An error would mean that the sender is gone, and it is here.
        let _ = self.draining.subscribe().wait_for(|draining| *draining).await;
    }

    pub fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Closes listeners and lets connections end when what is under way has ended.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// True when all have ended; false if that takes longer than `limit`.
    pub async fn ended(&self, limit: Duration) -> bool {
        timeout(limit, self.alive.closed()).await.is_ok()
    }

    pub fn enter(&self) -> Alive {
        Alive(self.alive.subscribe())
    }

    pub fn count(&self) -> usize {
        self.alive.receiver_count()
    }

    /// Whether there is room for one more; complains about `peer` if there is none.
    pub fn admits(&self, peer: &str) -> bool {
        let has_room = self.count() < self.max;
        if !has_room {
            let said = format!(
                "{peer} was refused: there are {} connections, as many as may be (--max-connections; of a sidecar, \
                 limits.max_connections)",
                self.max
            );
            self.complain("connection-refused", said, peer);
        }
        has_room
    }

    /// Tells the operator about a peer, unless there has been enough of that lately.
    pub fn complain(&self, action: &'static str, said: String, peer: &str) {
        if let Some(withheld) = self.complaints.next(Instant::now()) {
            let fields = [("client.address", peer.into()), ("infermesh.log.withheld", withheld.into())];
            self.log.warning(action, said, fields);
        }
    }
}
