//! The examples of "Signature calculations for the authorization header: transferring payload in multiple chunks", and what
//! becomes of bodies that are not what was signed.

use super::*;
use crate::sigv4::{Payload, parse, verify_ahead};
use http::Request;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// 2013-05-24T00:00:00Z.
const NOW: i64 = 1_369_353_600_000;
const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const CHUNKS: [(usize, &str); 3] = [
    (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (1_024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
];

fn signer() -> ChunkSigner {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;\
         content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,Signature={SEED}"
    );
    let request = Request::put("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("x-amz-date", "20130524T000000Z")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header("authorization", authorization)
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "66560")
        .header("content-length", "66824");
    let parts = request.body(()).unwrap().into_parts().0;
    match verify_ahead(&parse(&parts).unwrap(), &parts, SECRET, NOW).unwrap() {
        Payload::SignedChunks { signer, trailer: false } => signer,
        other => panic!("{other:?}"),
    }
}

fn body() -> Vec<u8> {
    let mut body = Vec::new();
    for (length, signature) in CHUNKS {
        body.extend_from_slice(format!("{length:x};chunk-signature={signature}\r\n").as_bytes());
        body.resize(body.len() + length, b'a');
        body.extend_from_slice(b"\r\n");
    }
    body
}

/// Feeds a body in pieces of `step` bytes; the content, once all of it is proven.
fn read(mut chunked: Chunked, body: &[u8], step: usize) -> Result<(Vec<u8>, Chunked), ChunkError> {
    let mut content = Vec::new();
    for piece in body.chunks(step) {
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(piece) = chunked.next(&mut input)? {
            content.extend_from_slice(&piece);
        }
    }
    if chunked.is_done() { Ok((content, chunked)) } else { Err(ChunkError::Form("ended early")) }
}

#[test]
fn the_guide_s_example_is_read_however_it_is_cut() {
    for step in [1, 7, 85, 4_096, usize::MAX] {
        let (content, _) = read(Chunked::signed(signer(), false), &body(), step).unwrap();
        assert_eq!(content, vec![b'a'; 66_560], "{step}");
    }
}

#[test]
fn no_altered_byte_is_accepted() {
    let body = body();
    let interesting = (0..90).chain(65_500..65_800).chain(66_600..body.len());
    for at in interesting {
        let mut altered = body.clone();
        altered[at] ^= 1;
        assert!(read(Chunked::signed(signer(), false), &altered, usize::MAX).is_err(), "byte {at}");
    }
    for length in [0, 1, 86, 65_622, body.len() - 1] {
        assert!(read(Chunked::signed(signer(), false), &body[..length], usize::MAX).is_err(), "{length}");
    }
    let longer = [&body[..], b"0"].concat();
    assert!(read(Chunked::signed(signer(), false), &longer, usize::MAX).is_err());
    // A chunk left out, or two that have changed places.
    let (first, rest) = body.split_at(85 + 65_536 + 2 + 3);
    assert!(read(Chunked::signed(signer(), false), rest, usize::MAX).is_err(), "{}", first.len());
    assert!(read(Chunked::signed(signer(), true), &body, usize::MAX).is_err(), "no signed trailer");
}

#[test]
fn headers_after_the_last_chunk() {
    let text = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let (content, chunked) = read(Chunked::unsigned(), text.as_bytes(), 3).unwrap();
    assert_eq!(content, b"hello");
    assert_eq!(chunked.trailers(), [("x-amz-checksum-crc32".to_owned(), "NhCmhg==".to_owned())]);
    let (content, _) = read(Chunked::unsigned(), b"0\r\n\r\n", 1).unwrap();
    assert!(content.is_empty());
}

#[test]
fn what_is_no_chunked_body_is_refused() {
    let long = "1".repeat(CHUNK_LINE_BYTES_MAX + 1);
    let many = format!("0\r\n{}\r\n", "a:b\r\n".repeat(TRAILERS_MAX + 1));
    for text in [
        "x\r\n",
        "-1\r\n",
        "+1\r\n",
        "\r\n",
        "5\nhello",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "ffffffffffffffff\r\n",
        "0\r\nabc\r\n\r\n",
        &long,
        &many,
    ] {
        let shown: String = text.chars().take(30).collect();
        assert!(read(Chunked::unsigned(), text.as_bytes(), usize::MAX).is_err(), "{shown}");
    }
}
