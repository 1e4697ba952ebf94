/*!
Blocks and summaries as stored bytes, and back.

A block is a header of 16 bytes and a zstd frame of postcard: `NB`, version, zero, length of the plain bytes (u32, little
endian), XXH3-64 (little endian) of position, the eight bytes before it, and the frame. The position is hashed so that
a block under a wrong key is seen. A summary is a version byte and postcard. A change to `nightbell_core::event::Batch`
changes these bytes: raise the version, and keep reading the old ones.
*/

use nightbell_core::event::Batch;
use xxhash_rust::xxh3::Xxh3;
use zstd::bulk::{Compressor, Decompressor};

use crate::error::Cause;
use crate::journal::{BATCH_BYTES_MAX, Block, Summary};
use crate::{Position, StoreError};

/// The level of zstd: higher levels cost more than they save on event text.
const ZSTD_LEVEL: i32 = 1;

/// Plain bytes of a block: as many as a writer may put into one, with room for framing.
const PLAIN_BYTES_MAX: usize = 2 * BATCH_BYTES_MAX + 1024 * 1024;

const HEADER_BYTES: usize = 16;
const MAGIC: [u8; 2] = *b"NB";
const BLOCK_VERSION: u8 = 1;
const SUMMARY_VERSION: u8 = 1;

const _: () = assert!(PLAIN_BYTES_MAX < u32::MAX as usize, "the header holds the length in 32 bits");

/// Writes blocks; keeps the compressor's memory from block to block.
pub(crate) struct BlockEncoder {
    compressor: Compressor<'static>,
    plain: Vec<u8>,
}

impl BlockEncoder {
    /// An encoder.
    ///
    /// # Errors
    ///
    /// A message when zstd has no memory.
    pub(crate) fn new() -> Result<Self, String> {
        let compressor = Compressor::new(ZSTD_LEVEL).map_err(|error| error.to_string())?;
        Ok(Self { compressor, plain: Vec::new() })
    }

    /// The stored form of a block.
    ///
    /// # Errors
    ///
    /// A message when the block is beyond its limits, which writers keep, or zstd has no memory.
    pub(crate) fn encode(&mut self, block: &Block) -> Result<Vec<u8>, String> {
        self.plain.clear();
        let plain = postcard::to_extend(&block.batches, std::mem::take(&mut self.plain));
        self.plain = plain.map_err(|error| error.to_string())?;
        if self.plain.len() > PLAIN_BYTES_MAX {
            return Err(format!("block has too many bytes. bytes={}", self.plain.len()));
        }
        let frame_bytes_max = zstd::zstd_safe::compress_bound(self.plain.len());
        let mut value = vec![0; HEADER_BYTES + frame_bytes_max];
        let frame_bytes = self
            .compressor
            .compress_to_buffer(&self.plain, &mut value[HEADER_BYTES..])
            .map_err(|error| error.to_string())?;
        value.truncate(HEADER_BYTES + frame_bytes);
        value.shrink_to_fit();
        write_header(block.position, self.plain.len(), &mut value);
        self.release();
        Ok(value)
    }

    /// Gives back memory that an unusually large block took.
    fn release(&mut self) {
        const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
        if self.plain.capacity() > KEPT_BYTES_MAX {
            self.plain = Vec::new();
        }
    }
}

fn write_header(position: Position, plain_bytes: usize, value: &mut [u8]) {
    value[..2].copy_from_slice(&MAGIC);
    value[2] = BLOCK_VERSION;
    value[4..8].copy_from_slice(&(plain_bytes as u32).to_le_bytes());
    let checksum = checksum(position, &value[..8], &value[HEADER_BYTES..]);
    value[8..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
}

fn checksum(position: Position, head: &[u8], frame: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&position.key());
    hasher.update(head);
    hasher.update(frame);
    hasher.digest()
}

/// Reads a stored block.
///
/// # Errors
///
/// `Broken` with the position when the bytes are not those that were written for it.
pub(crate) fn decode_block(position: Position, value: &[u8]) -> Result<Block, StoreError> {
    match decode_batches(position, value) {
        Ok(batches) => Ok(Block { position, batches }),
        Err(reason) => Err(Cause::Block { position, reason }.into()),
    }
}

fn decode_batches(position: Position, value: &[u8]) -> Result<Vec<Batch>, String> {
    let Some((head, rest)) = value.split_at_checked(8) else {
        return Err("header is cut short".to_owned());
    };
    let Some((sum, frame)) = rest.split_first_chunk::<8>() else {
        return Err("header is cut short".to_owned());
    };
    if head[..2] != MAGIC {
        return Err("header is not a block's".to_owned());
    }
    if checksum(position, head, frame) != u64::from_le_bytes(*sum) {
        return Err("checksum differs".to_owned());
    }
    if head[2] != BLOCK_VERSION {
        return Err(format!("version is unknown. version={}", head[2]));
    }
    let plain_bytes = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    if plain_bytes > PLAIN_BYTES_MAX {
        return Err(format!("block claims too many bytes. bytes={plain_bytes}"));
    }
    let plain = Decompressor::new().and_then(|mut zstd| zstd.decompress(frame, plain_bytes));
    let plain = plain.map_err(|error| error.to_string())?;
    postcard::from_bytes(&plain).map_err(|error| error.to_string())
}

/// The stored form of a summary.
///
/// # Errors
///
/// A message when postcard fails, which it does not for the types of a summary.
pub(crate) fn encode_summary(summary: &Summary) -> Result<Vec<u8>, String> {
    postcard::to_extend(summary, vec![SUMMARY_VERSION]).map_err(|error| error.to_string())
}

/// Reads a stored summary.
///
/// # Errors
///
/// `Broken` with the position when the bytes are not those that were written for it.
pub(crate) fn decode_summary(position: Position, value: &[u8]) -> Result<Summary, StoreError> {
    let broken = |reason: &str| Cause::Block { position, reason: format!("summary: {reason}") }.into();
    let Some((&SUMMARY_VERSION, body)) = value.split_first() else {
        return Err(broken("version is unknown"));
    };
    let summary: Summary = postcard::from_bytes(body).map_err(|error| broken(&error.to_string()))?;
    if summary.position != position {
        return Err(broken("position differs"));
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use nightbell_core::event::{Event, Group};
    use nightbell_core::time::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::Kind;

    fn block(position: u64, messages: &[&str]) -> Block {
        let event = |(i, message): (usize, &&str)| Event {
            time: Timestamp::from_millis(1_000 - i as i64),
            message: (*message).to_owned(),
        };
        let batch = Batch {
            group: Group { region: "eu".to_owned(), name: "files".to_owned() },
            stream: "host".to_owned(),
            arrival: Timestamp::from_millis(-5),
            events: messages.iter().enumerate().map(event).collect(),
        };
        Block { position: Position::new(position), batches: vec![batch.clone(), batch] }
    }

    #[test]
    fn a_block_comes_back_as_it_was() {
        let mut encoder = BlockEncoder::new().expect("memory");
        for messages in [&["one"][..], &["", "zwei \u{1F514}", "three"]] {
            let block = block(7, messages);
            let value = encoder.encode(&block).expect("within limits");
            assert_eq!(decode_block(block.position, &value).expect("intact"), block);
        }
    }

    #[test]
    fn every_flipped_bit_is_seen_and_names_the_position() {
        let block = block(7, &["<Event>4663</Event>", "<Event>4656</Event>"]);
        let value = BlockEncoder::new().expect("memory").encode(&block).expect("within limits");
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = decode_block(block.position, &flipped).expect_err("damaged");
            assert_eq!((error.kind(), error.position()), (Kind::Broken, Some(block.position)), "bit {bit}");
        }
        for length in 0..value.len() {
            assert!(decode_block(block.position, &value[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_block_under_another_position_is_damage() {
        let value = BlockEncoder::new().expect("memory").encode(&block(7, &["one"])).expect("within limits");
        assert!(decode_block(Position::new(8), &value).is_err());
    }

    #[test]
    fn a_false_length_allocates_nothing_large() {
        let mut value =
            BlockEncoder::new().expect("memory").encode(&block(7, &["one"])).expect("within limits");
        write_header(Position::new(7), u32::MAX as usize, &mut value);
        let error = decode_block(Position::new(7), &value).expect_err("too long");
        assert!(error.to_string().contains("too many bytes"), "{error}");
    }

    #[test]
    fn a_summary_comes_back_as_it_was() {
        let summary = Summary::of(&block(7, &["one", "two"]));
        assert_eq!(summary.events(), 4);
        assert_eq!((summary.first.as_millis(), summary.last.as_millis()), (999, 1_000));
        let value = encode_summary(&summary).expect("encodes");
        assert_eq!(decode_summary(summary.position, &value).expect("intact"), summary);
        assert!(decode_summary(Position::new(8), &value).is_err());
        assert!(decode_summary(Position::new(7), b"").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode_block(Position::FIRST, &bytes).is_err());
            let _ = decode_summary(Position::FIRST, &bytes);
        }

        #[test]
        fn no_frame_panics_behind_a_true_checksum(frame in proptest::collection::vec(any::<u8>(), 0..200), plain_bytes in 0..4096_usize) {
            let mut value = vec![0; HEADER_BYTES];
            value.extend(frame);
            write_header(Position::FIRST, plain_bytes, &mut value);
            prop_assert!(decode_block(Position::FIRST, &value).is_err());
        }
    }
}
