//! One connection, from its first byte to its end.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::parse::{Spoken, TokenLine, sniff, token_line};
use crate::protocol::Failure;
use crate::race::race;
use crate::reply::Failed;
use crate::service::Core;
use crate::stream::Stream;
use crate::token::{Shown, Tokens, no_token, wrong_token};
use crate::watch::Watch;
use crate::{http, rpc};

/// Serves a client until it is gone, makes no progress, or has asked for something that ends its connection.
pub(crate) async fn serve(core: Rc<Core>, client: u64, socket: OwnedFd, is_busy: bool) {
    let watch = Watch::new(core.limits(), !core.wants_token());
    let _until_proven = core.wants_token().then(|| core.unproven().enter(&watch));
    // A socket that is of no kind we know is closed.
    let Ok(stream) = Stream::new(socket, Rc::clone(&watch)) else { return };
    let served = async {
        let ended = if is_busy { refuse(stream).await } else { greet(&core, client, stream).await };
        // A client that is gone has no use for an error.
        ended.unwrap_or_default();
    };
    race(served, watch.is_to_go()).await;
}

async fn greet(core: &Rc<Core>, client: u64, mut stream: Stream) -> io::Result<()> {
    let tokens = Tokens::of(stream.watch());
    loop {
        let Some(spoken) = spoken(&mut stream).await? else { return Ok(()) };
        match spoken {
            Spoken::Token => match shown(core, client, &mut stream, &tokens).await? {
                Ok(()) => {}
                Err((failure, goes_on)) => {
                    let line = Failed::new(failure).to_line(None);
                    if !goes_on {
                        stream.close_with(&line).await;
                        return Ok(());
                    }
                    tokio::io::AsyncWriteExt::write_all(&mut stream, &line).await?;
                }
            },
            Spoken::JsonRpc if core.wants_token() && !tokens.holds() => {
                stream.close_with(&Failed::new(no_token()).to_line(None)).await;
                return Ok(());
            }
            Spoken::JsonRpc => {
                rpc::serve(core, client, stream).await;
                return Ok(());
            }
            Spoken::Http => {
                http::serve(core, client, stream, tokens).await;
                return Ok(());
            }
            Spoken::Neither => {
                stream.close_with(NEITHER).await;
                return Ok(());
            }
        }
    }
}

/// What the next byte says; none where there is no next one.
async fn spoken(stream: &mut Stream) -> io::Result<Option<Spoken>> {
    while stream.ahead().is_empty() {
        if !stream.look().await? {
            return Ok(None);
        }
    }
    Ok(stream.ahead().first().map(|first| sniff(*first)))
}

/// Reads the line of a token, and asks whether it is right. The error says whether another may follow.
async fn shown(
    core: &Core,
    client: u64,
    stream: &mut Stream,
    tokens: &Tokens,
) -> io::Result<Result<(), (Failure, bool)>> {
    let (token, length) = loop {
        match token_line(stream.ahead()) {
            TokenLine::Whole { token, length } => break (token.to_vec(), length),
            TokenLine::Malformed => {
                return Ok(Err((Failure::new("rejected", "the first line is no `token TOKEN`"), false)));
            }
            TokenLine::More => {
                if !stream.look().await? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    };
    stream.skip(length);
    // Where none is asked for, any serves.
    if !core.wants_token() {
        return Ok(Ok(()));
    }
    Ok(match tokens.show(core, client, &token).await {
        Ok(Shown::Right) => {
            tokens.hold();
            Ok(())
        }
        Ok(Shown::Wrong) => Err((wrong_token(), true)),
        Ok(Shown::OneTooMany) => Err((wrong_token(), false)),
        Err(failure) => Err((failure, false)),
    })
}

/// Tells a client that it is one too many, in the protocol that it speaks.
async fn refuse(mut stream: Stream) -> io::Result<()> {
    let failed = Failed::new(Failure::new("busy", "this agent has as many connections as it may (`connections`)"));
    match spoken(&mut stream).await? {
        None => {}
        Some(Spoken::JsonRpc | Spoken::Token) => stream.close_with(&failed.to_line(None)).await,
        Some(Spoken::Http) => stream.close_with(&http::bare_refusal(&failed)).await,
        Some(Spoken::Neither) => stream.close_with(NEITHER).await,
    }
    Ok(())
}

/// What speaks neither is told once, in words that are no answer in any protocol.
const NEITHER: &[u8] = b"tollgate: JSON-RPC 2.0 by lines, or HTTP/1.1, is spoken here\n";
