/*!
What is done to records on their way, as far as it needs no function: payloads of subscriptions are unpacked, their messages taken out,
and a delimiter appended ("Decompress CloudWatch Logs", "Message extraction after decompression", Amazon Data Firehose Developer Guide).

Pure. A record that is not what it is taken for passes as it is: nothing is lost, and nobody's record stops those of others.
*/

use nightbell_wire::inflate::gunzip;
use serde::Deserialize;
use serde_json::Value;

/// Bytes of one record when inflated.
pub(crate) const PROCESSED_RECORD_BYTES_MAX: usize = 16 << 20;
/// Bytes that the records of one delivery may grow to; what would go past it passes as it is.
pub(crate) const PROCESSED_BYTES_MAX: usize = 256 << 20;
/// Bytes of a delimiter.
const DELIMITER_BYTES_MAX: usize = 16;
/// Processors of a stream.
const PROCESSORS_MAX: usize = 5;

/// What is done to each record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Processing {
    decompresses: bool,
    extracts_messages: bool,
    delimiter: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    processors: Option<Vec<Processor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Processor {
    r#type: String,
    #[serde(default)]
    parameters: Option<Vec<Parameter>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    parameter_name: String,
    parameter_value: String,
}

impl Processing {
    /// Reads a `ProcessingConfiguration`; without one nothing is done.
    ///
    /// # Errors
    /// What is wrong with it, or is not served, with the member's name.
    pub(crate) fn read(given: Option<&Value>) -> Result<Self, String> {
        let Some(given) = given.filter(|given| !given.is_null()) else { return Ok(Self::default()) };
        let given: Configuration = Deserialize::deserialize(given)
            .map_err(|error| format!("ProcessingConfiguration is not what the API has: {error}"))?;
        let processors = given.processors.unwrap_or_default();
        if processors.len() > PROCESSORS_MAX {
            return Err(format!("ProcessingConfiguration.Processors are more than {PROCESSORS_MAX}"));
        }
        let mut processing = Self::default();
        if given.enabled != Some(true) {
            return Ok(processing);
        }
        for processor in &processors {
            processing.add(processor)?;
        }
        if processing.extracts_messages && !processing.decompresses {
            return Err("ProcessingConfiguration: CloudWatchLogProcessing needs Decompression".to_owned());
        }
        Ok(processing)
    }

    fn add(&mut self, processor: &Processor) -> Result<(), String> {
        let parameters = processor.parameters.as_deref().unwrap_or_default();
        let value = |name: &str| {
            let found = parameters.iter().find(|parameter| parameter.parameter_name == name);
            found.map(|parameter| parameter.parameter_value.as_str())
        };
        match processor.r#type.as_str() {
            "Decompression" => match value("CompressionFormat") {
                None | Some("GZIP") => self.decompresses = true,
                Some(other) => {
                    return Err(format!("ProcessingConfiguration: CompressionFormat {other:?} is not GZIP"));
                }
            },
            "CloudWatchLogProcessing" => {
                self.extracts_messages = value("DataMessageExtraction") == Some("true")
            }
            "AppendDelimiterToRecord" => {
                let delimiter = value("Delimiter").unwrap_or("\\n").replace("\\n", "\n").replace("\\t", "\t");
                if delimiter.len() > DELIMITER_BYTES_MAX {
                    return Err(format!(
                        "ProcessingConfiguration: the Delimiter has more than {DELIMITER_BYTES_MAX} bytes"
                    ));
                }
                self.delimiter = delimiter;
            }
            other => {
                return Err(format!(
                    "ProcessingConfiguration: the processor {other:?} is not served by this version; use Decompression, \
                     CloudWatchLogProcessing or AppendDelimiterToRecord"
                ));
            }
        }
        Ok(())
    }

    /// Whether records pass as they are.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The records as they are delivered, each with what came with it; what only asks whether somebody is here is left out.
    pub(crate) fn process<T: Copy>(&self, records: &[(T, Vec<u8>)]) -> Vec<(T, Vec<u8>)> {
        let mut left = PROCESSED_BYTES_MAX;
        let mut processed = Vec::with_capacity(records.len());
        for (mark, record) in records {
            let one = self.process_one(record, left.min(PROCESSED_RECORD_BYTES_MAX));
            if let Some(one) = one {
                left = left.saturating_sub(one.len());
                processed.push((*mark, one));
            }
        }
        processed
    }

    fn process_one(&self, record: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
        let is_zipped = self.decompresses && record.starts_with(&[0x1f, 0x8b]);
        let inflated = is_zipped.then(|| gunzip(record, bytes_max).ok()).flatten();
        let mut out = match inflated {
            Some(inflated) if self.extracts_messages => messages(inflated)?,
            Some(inflated) => inflated,
            None => record.to_vec(),
        };
        out.extend_from_slice(self.delimiter.as_bytes());
        Some(out)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    message_type: String,
    log_events: Vec<LogEvent>,
}

#[derive(Deserialize)]
struct LogEvent {
    message: String,
}

/// The messages of a payload, a line each; nothing of a control message.
fn messages(payload: Vec<u8>) -> Option<Vec<u8>> {
    let Ok(read) = serde_json::from_slice::<Payload>(&payload) else { return Some(payload) };
    if read.message_type != "DATA_MESSAGE" {
        return None;
    }
    let mut out = Vec::with_capacity(payload.len());
    for event in read.log_events {
        out.extend_from_slice(event.message.as_bytes());
        out.push(b'\n');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use nightbell_wire::deflate::gzip;
    use serde_json::json;

    use super::*;

    fn processors(types: &[(&str, &str, &str)]) -> Result<Processing, String> {
        let processors: Vec<Value> = types
            .iter()
            .map(|(kind, name, value)| {
                json!({"Type": kind, "Parameters": [{"ParameterName": name, "ParameterValue": value}]})
            })
            .collect();
        Processing::read(Some(&json!({"Enabled": true, "Processors": processors})))
    }

    fn out(processing: &Processing, records: &[&[u8]]) -> Vec<String> {
        let records: Vec<_> = records.iter().map(|record| ((), record.to_vec())).collect();
        let out = processing.process(&records);
        out.into_iter().map(|((), record)| String::from_utf8_lossy(&record).into_owned()).collect()
    }

    const UNZIP: (&str, &str, &str) = ("Decompression", "CompressionFormat", "GZIP");
    const EXTRACT: (&str, &str, &str) = ("CloudWatchLogProcessing", "DataMessageExtraction", "true");

    #[test]
    fn payloads_are_unpacked_and_others_pass() {
        let data =
            json!({"messageType": "DATA_MESSAGE", "logEvents": [{"message": "one"}, {"message": "two"}]});
        let control = json!({"messageType": "CONTROL_MESSAGE", "logEvents": []});
        let (data, control) = (gzip(data.to_string().as_bytes()), gzip(control.to_string().as_bytes()));
        let broken = [0x1f, 0x8b, 1];
        let records: [&[u8]; 5] = [&data, &control, b"plain", &gzip(b"text"), &broken];
        let all = processors(&[UNZIP, EXTRACT]).unwrap();
        assert_eq!(out(&all, &records)[..3], ["one\ntwo\n", "plain", "text"]);
        assert_eq!(out(&all, &records).len(), 4, "what cannot be inflated passes");
        let lines = processors(&[UNZIP, ("AppendDelimiterToRecord", "Delimiter", "\\n")]).unwrap();
        assert_eq!(out(&lines, &[&gzip(b"a"), b"b"]), ["a\n", "b\n"]);
        assert!(Processing::read(None).unwrap().is_nothing());
        assert!(Processing::read(Some(&json!({"Enabled": false}))).unwrap().is_nothing());
    }

    #[test]
    fn what_inflates_without_end_passes_as_it_is() {
        let bomb = gzip(&vec![b'x'; PROCESSED_RECORD_BYTES_MAX + 1]);
        let unzip = processors(&[UNZIP]).unwrap();
        assert_eq!(unzip.process(&[((), bomb.clone())]), [((), bomb)]);
        let large = gzip(&vec![b'x'; PROCESSED_RECORD_BYTES_MAX]);
        let many = vec![((), large.clone()); PROCESSED_BYTES_MAX / PROCESSED_RECORD_BYTES_MAX + 2];
        let sizes: Vec<usize> = unzip.process(&many).iter().map(|(_, record)| record.len()).collect();
        assert!(sizes.iter().sum::<usize>() <= PROCESSED_BYTES_MAX + 2 * large.len());
        assert_eq!(sizes.last(), Some(&large.len()));
    }

    #[test]
    fn what_is_not_served_is_named() {
        for (given, named) in [
            (processors(&[("Lambda", "LambdaArn", "arn")]), "\"Lambda\""),
            (processors(&[EXTRACT]), "needs Decompression"),
            (processors(&[("Decompression", "CompressionFormat", "ZIP")]), "CompressionFormat"),
            (processors(&[UNZIP; 6]), "more than 5"),
            (Processing::read(Some(&json!("on"))), "ProcessingConfiguration"),
        ] {
            let error = given.expect_err(named);
            assert!(error.starts_with("ProcessingConfiguration") && error.contains(named), "{error}");
        }
    }
}
