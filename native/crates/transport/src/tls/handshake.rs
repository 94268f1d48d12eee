//! One handshake, from either side.

use super::{
    failure::Why,
    spiffe::SpiffeId,
    verify::{Clients, Judge, again},
};
use std::{cell::RefCell, io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        CommonState, HandshakeKind, ServerConfig,
        crypto::ring,
        server::WebPkiClientVerifier,
        sign::{CertifiedKey, SingleCertAndKey},
    },
    server::TlsStream,
};

/// A client that connects must have said its first word within this time, and agreed on keys within this time
/// of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What TLS begins with: the first byte of a record with a part of a handshake (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 0x16;

/// What was found of a peer: its identity, if it has one and is welcome.
pub type Verdict = Result<Option<Arc<SpiffeId>>, Why>;

tokio::task_local! {
    /// Where a verifier, which is one for all connections, leaves what it found of this one.
    static FOUND: RefCell<Option<Verdict>>;
}

/// Keeps a verdict for the handshake under way, if it is one of ours.
pub fn note(found: Verdict) {
    let _ = FOUND.try_with(|slot| slot.replace(Some(found)));
}

/// A connection that is encrypted, and who is at its other end.
#[derive(Debug)]
pub struct Secured<S> {
    pub stream: S,
    pub identity: Option<Arc<SpiffeId>>,
    /// Whether an earlier session went on.
    pub resumed: bool,
}

/// Does a handshake. `us` is who this process is to the peer.
pub async fn shake<S>(
    handshake: impl Future<Output = io::Result<S>>,
    state: impl Fn(&S) -> &CommonState,
    judge: Option<&impl Judge>,
    us: &str,
) -> Result<Secured<S>, Why> {
    let shaken = async {
        let result = handshake.await;
        (result, FOUND.with(RefCell::take))
    };
    match FOUND.scope(RefCell::default(), shaken).await {
        (Err(_), Some(Err(why))) => Err(why),
        (Err(error), _) => Err(Why::of_io(&error, us)),
        (Ok(stream), found) => {
            let session = state(&stream);
            // A session that goes on from before is not verified by rustls.
            let chain = session.peer_certificates().unwrap_or_default();
            let found = found.or_else(|| judge.map(|judge| again(judge, chain)));
            let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
            Ok(Secured { identity: found.transpose()?.flatten(), resumed, stream })
        }
    }
}

/// What a listener presents and demands, for as long as its files are the same.
#[derive(Debug)]
pub struct Welcome {
    pub config: Arc<ServerConfig>,
    /// Absent: nobody has to prove who he is.
    pub clients: Option<Arc<Clients>>,
    /// Who this process is, for people.
    pub us: String,
}

impl Welcome {
    /// Agrees on one of the protocols by ALPN, the first that the client has too.
    pub fn new(
        certified: Arc<CertifiedKey>,
        clients: Option<Arc<Clients>>,
        protocols: &[&[u8]],
        us: String,
    ) -> Result<Self, String> {
        let verifier = match &clients {
            Some(clients) => clients.clone(),
            None => WebPkiClientVerifier::no_client_auth(),
        };
        // It has a store of sessions of its own, so none goes on after whom it trusts has changed.
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { config: Arc::new(config), clients, us })
    }

    /// Fails for a peer that is refused, which is told so by an alert, and for one that speaks no TLS.
    pub async fn accept<T: AsyncBufRead + AsyncWrite + Unpin>(
        &self,
        mut io: T,
    ) -> Result<Secured<TlsStream<T>>, Why> {
        if !begins_with_tls(&mut io).await? {
            let first = io.fill_buf().await.map_err(|error| Why::of_io(&error, &self.us))?;
            return Err(Why::plaintext(first));
        }
        let handshake = TlsAcceptor::from(self.config.clone()).accept(io);
        let shaken = shake(handshake, |stream| stream.get_ref().1, self.clients.as_deref(), &self.us);
        timeout(PATIENCE, shaken).await.unwrap_or_else(|_| Err(Why::timed_out("the handshake", PATIENCE)))
    }
}

/// Looks at the first byte, and leaves it where it is.
pub async fn begins_with_tls(io: &mut (impl AsyncBufRead + Unpin)) -> Result<bool, Why> {
    match timeout(PATIENCE, io.fill_buf()).await {
        Ok(Ok([])) | Ok(Err(_)) => Err(Why::left()),
        Ok(Ok([first, ..])) => Ok(*first == HANDSHAKE_RECORD),
        Err(_) => Err(Why::timed_out("its first byte", PATIENCE)),
    }
}
