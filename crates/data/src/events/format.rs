//! The format of a recording, told by its content.

use super::header::{Line, line};
use super::prophesee::MARK;
use super::{ReadOptions, aedat2, aedat3, aedat4, dat, decoder::Decode, evt2, evt3, five_byte, magic};
use std::fmt;

/// Names a recording's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventFormat {
    /// N-MNIST's five bytes an event.
    FiveByte,
    /// jAER's AEDAT 2.0.
    Aedat2,
    /// cAER's AEDAT 3.1.
    Aedat3,
    /// DV's AEDAT 4.
    Aedat4,
    /// Prophesee's EVT 2.0.
    Evt2,
    /// Prophesee's EVT 3.0.
    Evt3,
    /// Prophesee's DAT.
    Dat,
}

impl EventFormat {
    /// Tells the format from the first bytes of a recording, of `size` bytes if that is known.
    ///
    /// Only five-byte records have no mark of their own: they are assumed where nothing else is recognised, the size is
    /// a multiple of five, the bytes are no text, no row is above 240, hardly any time runs backward and events hardly
    /// repeat themselves.
    /// Errors: what the beginning is instead.
    ///
    /// ```
    /// use spikegrad_data::events::EventFormat;
    /// assert_eq!(EventFormat::detect(b"#!AER-DAT2.0\r\n", None), Ok(EventFormat::Aedat2));
    /// assert_eq!(EventFormat::detect(b"% evt 3.0\n", None), Ok(EventFormat::Evt3));
    /// assert_eq!(EventFormat::detect(&[3, 4, 0x80, 0, 9], Some(5)), Ok(EventFormat::FiveByte));
    /// assert!(EventFormat::detect(b"\x89PNG\r\n", Some(6)).is_err());
    /// ```
    pub fn detect(head: &[u8], size: Option<u64>) -> Result<Self, String> {
        let magics =
            [(aedat2::MAGIC, Self::Aedat2), (aedat3::MAGIC, Self::Aedat3), (aedat4::MAGIC, Self::Aedat4)];
        if let Some(&(_, format)) = magics.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Ok(format);
        }
        if let Some(name) = magic::known(head) {
            return Err(format!("no recording: this is {name}"));
        }
        if head.starts_with(b"#!AER-DAT") {
            return Err("no AEDAT of version 2.0, 3.1 or 4.0".into());
        }
        // The third byte tells a line from five-byte events at the pixel (35, 32) or (37, 32), which begin near time 0.
        let is_line = head.get(2).is_none_or(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        if (head.starts_with(b"# ") && is_line) || head.starts_with(b"#\r\n") {
            return Ok(Self::Aedat2);
        }
        if head.starts_with(b"% ") && is_line {
            return prophesee(head);
        }
        let whole = size.is_none_or(|size| size > 0 && size.is_multiple_of(five_byte::RECORD as u64));
        let what = match five_byte::doubt(head) {
            Some(what) => what,
            None if whole => return Ok(Self::FiveByte),
            None => "no whole number of events".into(),
        };
        Err(format!("no recording: no known beginning (#!AER-DAT…, % …), and as 5-byte events it is {what}"))
    }

    /// The name, with the makers of cameras that use it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FiveByte => "5-byte events (N-MNIST)",
            Self::Aedat2 => "AEDAT 2.0",
            Self::Aedat3 => "AEDAT 3.1",
            Self::Aedat4 => "AEDAT 4",
            Self::Evt2 => "EVT 2.0",
            Self::Evt3 => "EVT 3.0",
            Self::Dat => "DAT",
        }
    }

    /// A decoder at the beginning of a recording.
    pub(super) fn decoder(self, options: &ReadOptions) -> Box<dyn Decode> {
        match self {
            Self::FiveByte => Box::<five_byte::FiveByte>::default(),
            Self::Aedat2 => Box::new(aedat2::Aedat2::new(options)),
            Self::Aedat3 => Box::new(aedat3::Aedat3::new(options)),
            Self::Aedat4 => Box::new(aedat4::Aedat4::new(options)),
            Self::Evt2 => Box::<evt2::Evt2>::default(),
            Self::Evt3 => Box::<evt3::Evt3>::default(),
            Self::Dat => Box::<dat::Dat>::default(),
        }
    }
}

impl fmt::Display for EventFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tells Prophesee's formats apart by their headers.
fn prophesee(head: &[u8]) -> Result<EventFormat, String> {
    let mut at = 0;
    while let Line::Whole(text, len) = line(&head[at..], MARK) {
        let text = text.to_ascii_lowercase();
        let (evt, format) = (text.contains("evt "), text.contains("format evt"));
        if evt || format {
            return match () {
                () if text.contains("evt 2.0")
                    || text.contains("format evt2;")
                    || text.ends_with("format evt2") =>
                {
                    Ok(EventFormat::Evt2)
                }
                () if text.contains("evt 3.0") || text.contains("format evt3") => Ok(EventFormat::Evt3),
                () => Err(format!("{}: EVT 2.0 and 3.0 are known", text.trim_start_matches(['%', ' ']))),
            };
        }
        at += len;
        if text.trim_start_matches(['%', ' ']) == "end" {
            break;
        }
    }
    match head[at..] {
        [kind, size, ..] if dat::announces_changes([kind, size]) => Ok(EventFormat::Dat),
        _ => Err("a header of % lines that names no EVT format, and no DAT events behind it".into()),
    }
}
