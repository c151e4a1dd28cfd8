//! Which PEM blocks are in this file? RFC 7468, and what editors and copy-and-paste make of it.
//!
//! Says what is there block by block; what a block means is for others to say.

use pem::Pem;
use zeroize::Zeroizing;

/// The blocks of `file` in order, each one readable or with the reason why it is not. A byte order mark, CRLF,
/// indentation, empty lines and text between blocks are fine. No block at all is an empty list.
pub(super) fn pem_blocks(file: &[u8]) -> Vec<Result<Pem, pem::PemError>> {
    let text = tidy(file);
    let starts: Vec<usize> = text.match_indices(BEGIN).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .filter_map(|(start, end)| text.get(*start..end))
        .map(pem::parse)
        .collect()
}

/// Trims lines and drops empty ones, but keeps the one that ends a block's headers (RFC 1421 section 4.4).
fn tidy(file: &[u8]) -> Zeroizing<String> {
    let mut tidy = Zeroizing::new(String::with_capacity(file.len() + 1));
    let mut after_header = false;
    // Bytes outside ASCII can only be in comments: a block takes none.
    for line in file.split(|byte| *byte == b'\n') {
        let line = Zeroizing::new(
            line.iter()
                .filter(|byte| byte.is_ascii())
                .copied()
                .map(char::from)
                .collect::<String>(),
        );
        let line = line.trim();
        if !line.is_empty() || after_header {
            tidy.push_str(line);
            tidy.push('\n');
        }
        after_header = line.contains(": ");
    }
    tidy
}

const BEGIN: &str = "-----BEGIN ";

#[cfg(test)]
mod tests {
    use super::*;

    fn block(content: &[u8]) -> String {
        pem::encode(&Pem::new("CERTIFICATE", content))
    }

    #[test]
    fn what_editors_make_of_a_file_is_read() {
        let plain = block(&[7; 100]).replace("\r\n", "\n");
        let table = [
            plain.clone(),
            plain.replace('\n', "\r\n"),
            format!("\u{feff}{plain}"),
            format!("# café: root\n\n{plain}  \t\n\n"),
            plain.replace('\n', "\n\n"),
            plain.replace('\n', " \n    "),
            plain.trim_end().to_owned(),
        ];
        for text in table {
            let blocks = pem_blocks(text.as_bytes());
            let contents: Vec<&[u8]> = blocks.iter().flatten().map(Pem::contents).collect();
            assert_eq!(contents, [&[7; 100]], "{text:?}");
            assert_eq!(pem_blocks(text.repeat(2).as_bytes()).len(), 2);
        }
    }

    #[test]
    fn two_blocks_without_a_newline_between_them_are_two_blocks() {
        let text = format!("{}{}", block(b"one").trim_end(), block(b"two"));
        let blocks = pem_blocks(text.as_bytes());
        assert_eq!(blocks.iter().filter(|block| block.is_ok()).count(), 2);
    }

    #[test]
    fn a_block_that_breaks_off_is_reported_and_the_others_are_read() {
        let cut: String = block(&[7; 100]).chars().take(90).collect();
        let blocks = pem_blocks(format!("{cut}\n{}", block(b"whole")).as_bytes());
        assert!(blocks[0].is_err());
        assert_eq!(blocks[1].as_ref().unwrap().contents(), b"whole");
        assert!(pem_blocks(format!("{}{cut}", block(b"whole")).as_bytes())[1].is_err());
    }

    #[test]
    fn headers_survive() {
        let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        let blocks = pem_blocks(text.as_bytes());
        let headers = blocks[0].as_ref().unwrap().headers();
        assert_eq!(headers.get("Proc-Type"), Some("4,ENCRYPTED"));
    }
}
