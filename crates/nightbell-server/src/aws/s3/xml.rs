/*!
The XML of S3: written straight, and read into a small tree under named limits.
*/

use nightbell_wire::escape_xml;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::error::S3Error;

/// Elements within elements of a document that is read.
pub(crate) const XML_DEPTH_MAX: usize = 8;
/// The namespace of answers.
pub(super) const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// A document that is written.
pub(super) struct Xml {
    out: String,
    open: Vec<&'static str>,
}

impl Xml {
    /// Begins a document with its first element; `xmlns` may be empty.
    pub(super) fn begin(root: &'static str, xmlns: &str) -> Self {
        let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<".to_owned();
        out.push_str(root);
        if !xmlns.is_empty() {
            out.push_str(" xmlns=\"");
            out.push_str(xmlns);
            out.push('"');
        }
        out.push('>');
        Self { out, open: vec![root] }
    }

    /// Begins an answer of S3.
    pub(super) fn answer(root: &'static str) -> Self {
        Self::begin(root, XMLNS)
    }

    /// Opens an element.
    pub(super) fn open(&mut self, name: &'static str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
        self.open.push(name);
    }

    /// Opens an element with attributes, which are written as they are.
    pub(super) fn open_as(&mut self, name: &'static str, attributes: &'static str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push(' ');
        self.out.push_str(attributes);
        self.out.push('>');
        self.open.push(name);
    }

    /// Closes the element that was opened last.
    pub(super) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
    }

    /// An element that holds a text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
        escape_xml(&mut self.out, text);
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// An element that holds anything that is a text.
    pub(super) fn put(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text(name, &value.to_string());
    }

    /// The whole document, all that is open closed.
    pub(super) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }
}

/// An element that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    name: String,
    text: String,
    children: Vec<Node>,
}

impl Node {
    /// Reads a document whose first element has this name.
    pub(super) fn read(body: &[u8], root: &str) -> Result<Self, S3Error> {
        let text = std::str::from_utf8(body).map_err(|_| S3Error::malformed("it is not UTF-8"))?;
        let node = parse(text).map_err(S3Error::malformed)?;
        if node.name == root {
            Ok(node)
        } else {
            Err(S3Error::malformed(&format!("the first element is not {root}")))
        }
    }

    /// The first element of this name within.
    pub(super) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All elements of this name within.
    pub(super) fn children<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first element of this name within.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The same where it must be there.
    pub(super) fn need(&self, name: &str) -> Result<&str, S3Error> {
        self.text_of(name).ok_or_else(|| S3Error::malformed(&format!("{name} is missing in {}", self.name)))
    }
}

fn parse(text: &str) -> Result<Node, &'static str> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Node> = Vec::new();
    loop {
        match reader.read_event().map_err(|_| "it is not well-formed")? {
            Event::Start(start) => {
                if open.len() == XML_DEPTH_MAX {
                    return Err("elements lie too deep in each other");
                }
                open.push(Node { name: start.local_name().as_ref().to_owned(), ..Node::default() });
            }
            Event::Empty(start) => {
                let node = Node { name: start.local_name().as_ref().to_owned(), ..Node::default() };
                match open.last_mut() {
                    Some(above) => above.children.push(node),
                    None => return Ok(node),
                }
            }
            Event::End(_) => {
                let Some(node) = open.pop() else { return Err("an element ends that was not begun") };
                match open.last_mut() {
                    Some(above) => above.children.push(node),
                    None => return Ok(node),
                }
            }
            Event::Text(part) => {
                if let Some(node) = open.last_mut() {
                    node.text.push_str(&part);
                }
            }
            Event::CData(part) => {
                if let Some(node) = open.last_mut() {
                    node.text.push_str(&part);
                }
            }
            Event::GeneralRef(name) => {
                let c = reference(&name).ok_or("it has a reference that stands for nothing")?;
                if let Some(node) = open.last_mut() {
                    node.text.push(c);
                }
            }
            Event::DocType(_) => return Err("it declares a document type"),
            Event::Eof => return Err("it ends early"),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
        }
    }
}

/// The character that a reference stands for.
fn reference(name: &str) -> Option<char> {
    let code = match name.strip_prefix('#') {
        None => {
            return match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => None,
            };
        }
        Some(hex) if hex.starts_with('x') => u32::from_str_radix(&hex[1..], 16),
        Some(decimal) => decimal.parse(),
    };
    code.ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read() {
        let text = "<?xml version=\"1.0\"?><Delete xmlns=\"x\"><Object><Key>a &amp; &#x62;<![CDATA[<c>]]></Key></Object><Quiet/></Delete>";
        let node = Node::read(text.as_bytes(), "Delete").unwrap();
        assert_eq!(node.child("Object").unwrap().need("Key").unwrap(), "a & b<c>");
        assert_eq!(node.text_of("Quiet"), Some(""));
        assert!(node.need("Key").is_err());
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let deep = "<a>".repeat(XML_DEPTH_MAX + 1);
        for text in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "</a>",
            "<a>&nbsp;</a>",
            "<a>&#xD800;</a>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
            &deep,
        ] {
            assert!(Node::read(text.as_bytes(), "a").is_err(), "{text}");
        }
        assert!(Node::read(b"<b/>", "a").is_err());
        assert!(Node::read(b"<a>\xff</a>", "a").is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut xml = Xml::answer("Result");
        xml.open("Contents");
        xml.text("Key", "a<b>&\"'\r\n");
        xml.close();
        xml.put("Count", 2);
        let node = Node::read(xml.finish().as_bytes(), "Result").unwrap();
        assert_eq!(node.child("Contents").unwrap().need("Key").unwrap(), "a<b>&\"'\r\n");
        assert_eq!(node.need("Count").unwrap(), "2");
    }
}
