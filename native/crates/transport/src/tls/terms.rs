//! On what terms a listener speaks with those who connect.

use super::{
    Tls,
    failure::Failure,
    handshake::{Secured, begins_with_tls},
    identity::Identity,
};
use crate::peer::address::Peer;
use std::sync::Arc;
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

/// A unix socket is spoken over in plaintext on any terms: who may is a matter of its file.
#[derive(Clone, Default)]
pub enum Terms {
    #[default]
    Plaintext,
    /// Encrypted, with whom the files of a listener let in.
    Tls(Arc<Tls>),
    /// With an identity of our trust domain.
    Mutual(Arc<Identity>),
    /// With an identity of our trust domain if the connection begins with TLS, in plaintext otherwise: while
    /// a mesh is being introduced.
    Permissive(Arc<Identity>),
}

/// A connection on which requests may come.
pub enum Greeted<T> {
    Plaintext(T),
    Encrypted(Box<TlsStream<T>>),
}

impl Terms {
    /// Comes to terms with a peer, whose identity it notes. Takes no byte of what is spoken afterwards.
    pub async fn greet<T: AsyncBufRead + AsyncWrite + Unpin>(
        &self,
        mut io: T,
        peer: &mut Peer,
    ) -> Result<Greeted<T>, Failure> {
        let Secured { stream, identity, .. } = match self {
            Self::Plaintext => return Ok(Greeted::Plaintext(io)),
            Self::Tls(tls) => tls.accept(io, &peer.name).await?,
            Self::Mutual(identity) => identity.accept(io, &peer.name).await?,
            Self::Permissive(identity) => match begins_with_tls(&mut io).await {
                Ok(false) => {
                    identity.accepted.count_plaintext();
                    return Ok(Greeted::Plaintext(io));
                }
                Ok(true) => identity.accept(io, &peer.name).await?,
                Err(why) => {
                    identity.accepted.count_failure(&why);
                    return Err(Failure::new(&peer.name, why));
                }
            },
        };
        peer.identity = identity;
        Ok(Greeted::Encrypted(Box::new(stream)))
    }
}
