//! `wasi:random`: the system's generator or the operator's seed where granted. Without a grant there is no harmless
//! answer, so the instance ends even under `deny`; the hash seed alone is a constant then.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tollgate_capability::{Call, RandomCall, RandomMode};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::ctx::GateCtx;
use crate::gate::Checked;
use crate::host::filesystem::Untracked;
use crate::view::GateView;

impl random::Host for GateView<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        let proof = self.ctx.gate.checked(Call::Random(RandomCall::RandomBytes { bytes: len }))?;
        random_bytes(proof, self.ctx)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        let proof = self.ctx.gate.checked(Call::Random(RandomCall::RandomBytes { bytes: 8 }))?;
        random_u64(proof, self.ctx)
    }
}

impl insecure::Host for GateView<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        let proof = self.ctx.gate.checked(Call::Random(RandomCall::InsecureRandomBytes { bytes: len }))?;
        random_bytes(proof, self.ctx)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        let proof = self.ctx.gate.checked(Call::Random(RandomCall::InsecureRandomBytes { bytes: 8 }))?;
        random_u64(proof, self.ctx)
    }
}

impl insecure_seed::Host for GateView<'_> {
    /// Rust and others seed their hash maps with this, needed or not, so it is no violation to ask. A guest without
    /// randomness gets a constant: nothing that it could not have made up. One is drawn for an instance, as the interface says.
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.ctx.gate.count("wasi:random/insecure-seed.insecure-seed");
        if let Some(drawn) = self.ctx.hash_seed {
            return Ok(drawn);
        }
        let drawn = hash_seed(self.ctx.gate.set().random)?;
        self.ctx.hash_seed = Some(drawn);
        Ok(drawn)
    }
}

/// The first digits of pi, as nothing-up-my-sleeve as any.
const CONSTANT_HASH_SEED: (u64, u64) = (0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344);

/// As many bytes as the call was allowed.
fn random_bytes(proof: Checked, ctx: &mut GateCtx) -> wasmtime::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(allowed_bytes(&proof)?)?];
    match &mut ctx.seeded {
        Some(generator) => generator.fill_bytes(&mut bytes),
        None => getrandom::fill(&mut bytes)?,
    }
    Ok(bytes)
}

fn random_u64(proof: Checked, ctx: &mut GateCtx) -> wasmtime::Result<u64> {
    if allowed_bytes(&proof)? < 8 {
        return Err(Untracked.into());
    }
    match &mut ctx.seeded {
        Some(generator) => Ok(generator.next_u64()),
        None => Ok(getrandom::u64()?),
    }
}

fn allowed_bytes(proof: &Checked) -> Result<u64, Untracked> {
    let Call::Random(RandomCall::RandomBytes { bytes } | RandomCall::InsecureRandomBytes { bytes }) = proof.call()
    else {
        return Err(Untracked);
    };
    Ok(*bytes)
}

/// The seed of an instance's hash maps. An operator's seed gives it by a generator of its own: whether a guest has hash maps
/// must not change which random bytes it gets.
fn hash_seed(granted: Option<RandomMode>) -> wasmtime::Result<(u64, u64)> {
    Ok(match granted {
        None => CONSTANT_HASH_SEED,
        Some(RandomMode::Secure) => (getrandom::u64()?, getrandom::u64()?),
        Some(RandomMode::Seeded(seed)) => {
            let mut own = StdRng::seed_from_u64(seed ^ CONSTANT_HASH_SEED.0);
            (own.next_u64(), own.next_u64())
        }
    })
}
