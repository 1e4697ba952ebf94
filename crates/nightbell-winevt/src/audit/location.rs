/*!
Where a file is: object names of the kernel, drive letters and UNC paths to share, folder, file and path.

One event at a time: a share inside another share's folder is told apart only where the event names the share (5140, 5145).
A name does not say whether it is a file's or a folder's; its last part counts as the file unless a backslash follows.
*/

/// Parts of one name that are looked at; longer names keep their first parts in the path.
pub const PARTS_MAX: usize = 64;

/// Where an object is. Lower-case; a part the name does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The share, its root folder on the volume, or the drive (`c:`).
    pub share: Option<String>,
    /// The folder inside the share, with a leading backslash.
    pub folder: Option<String>,
    /// The file's name, with the stream's name where there is one.
    pub file: Option<String>,
    /// The share, then each folder.
    pub path: Vec<String>,
}

impl Location {
    /// Where the object with this kernel name, drive path or UNC path is; `None` for what is no file (pipes, devices).
    ///
    /// `\Device\HarddiskVolume16\share\secret\x.doc`: the volume's number changes between machines and over time, and the
    /// first folder on it stands for the share.
    pub fn of_object(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        let rest =
            [r"\??\", r"\\?\", r"\\.\"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
        let unc = rest.strip_prefix(r"unc\").or_else(|| name.strip_prefix(r"\device\mup\"));
        if let Some(server_and_share) = unc.or_else(|| rest.strip_prefix(r"\\")) {
            return Some(Self::of_unc(server_and_share));
        }
        if let Some(device) = rest.strip_prefix(r"\device\") {
            let volume = device.strip_prefix("harddiskvolume")?;
            let inside = volume.find('\\').map_or("", |at| &volume[at..]);
            return Some(Self::of_parts(inside));
        }
        if rest.is_empty() || rest == "-" {
            return None;
        }
        if rest.contains('\\') {
            return Some(Self::of_parts(rest));
        }
        Some(Self { file: Some(rest.to_owned()), ..Self::default() })
    }

    /// Where `relative` is inside the share that 5140 and 5145 name as `\\*\share` or `\\SERVER\share`.
    pub fn in_share(share: &str, relative: &str) -> Option<Self> {
        let share = share.trim().trim_end_matches('\\').to_lowercase();
        let share = share.rsplit('\\').next().filter(|share| !share.is_empty() && *share != "-")?;
        let relative = relative.trim().to_lowercase();
        let relative = if relative == "-" { "" } else { relative.as_str() };
        Some(Self::inside(share, relative))
    }

    /// `server\share\rest`
    fn of_unc(text: &str) -> Self {
        Self::of_parts(text.find('\\').map_or("", |at| &text[at..]))
    }

    /// The first part is the share.
    fn of_parts(text: &str) -> Self {
        let text = text.trim_start_matches('\\');
        match text.split_once('\\') {
            Some((share, rest)) => Self::inside(share, rest),
            None if text.is_empty() => Self { folder: Some(r"\".to_owned()), ..Self::default() },
            None => Self::inside(text, ""),
        }
    }

    fn inside(share: &str, rest: &str) -> Self {
        let (folders, file) = rest.rsplit_once('\\').unwrap_or(("", rest));
        let parts = || folders.split('\\').filter(|part| !part.is_empty());
        let mut folder = String::with_capacity(folders.len() + 1);
        for part in parts() {
            folder.push('\\');
            folder.push_str(part);
        }
        if folder.is_empty() {
            folder.push('\\');
        }
        let path = std::iter::once(share).chain(parts()).take(PARTS_MAX).map(str::to_owned).collect();
        Self {
            share: Some(share.to_owned()),
            folder: Some(folder),
            file: (!file.is_empty()).then(|| file.to_owned()),
            path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// share, folder, file, path joined by `>`; absent parts as empty text.
    fn parts(location: Option<Location>) -> [String; 4] {
        let location = location.unwrap_or_default();
        [
            location.share.unwrap_or_default(),
            location.folder.unwrap_or_default(),
            location.file.unwrap_or_default(),
            location.path.join(">"),
        ]
    }

    #[test]
    fn object_names_give_share_folder_and_file() {
        let rows = [
            (
                "P01",
                r"\Device\HarddiskVolume16\share\secret\a.doc",
                ["share", r"\secret", "a.doc", "share>secret"],
            ),
            ("P02", r"\Device\HarddiskVolume8\share\permtest", ["share", r"\", "permtest", "share"]),
            (
                "P03",
                r"\Device\HarddiskVolume8\demoshare01\Desktop.ini",
                ["demoshare01", r"\", "desktop.ini", "demoshare01"],
            ),
            ("P05", r"C:\Data\x", ["c:", r"\data", "x", "c:>data"]),
            ("P08", r"\Device\HarddiskVolume8", ["", r"\", "", ""]),
            (
                "P09",
                r"\Device\HarddiskVolume8\s\a.txt:Zone.Identifier",
                ["s", r"\", "a.txt:zone.identifier", "s"],
            ),
            ("the share's root", r"\Device\HarddiskVolume16\share", ["share", r"\", "", "share"]),
            ("a folder", r"\Device\HarddiskVolume16\share\a\b\", ["share", r"\a\b", "", "share>a>b"]),
            ("shadow copy", r"\Device\HarddiskVolumeShadowCopy3\share\x", ["share", r"\", "x", "share"]),
            ("UNC", r"\\SRV\Share\Secret\A.doc", ["share", r"\secret", "a.doc", "share>secret"]),
            ("UNC share root", r"\\SRV\Share", ["share", r"\", "", "share"]),
            ("UNC by long path", r"\\?\UNC\srv\share\x", ["share", r"\", "x", "share"]),
            ("UNC by redirector", r"\Device\Mup\srv\share\d\x", ["share", r"\d", "x", "share>d"]),
            ("drive by long path", r"\??\D:\share\x", ["d:", r"\share", "x", "d:>share"]),
            ("drive root", r"C:\", ["c:", r"\", "", "c:"]),
            ("no volume", r"\share\public\a.txt", ["share", r"\public", "a.txt", "share>public"]),
            ("doubled backslash", r"C:\\Data\\x", ["c:", r"\data", "x", "c:>data"]),
            ("bare name", "a.txt", ["", "", "a.txt", ""]),
            ("not ASCII", r"C:\ÄRGER\Ö.txt", ["c:", r"\ärger", "ö.txt", "c:>ärger"]),
            ("blanks inside", r"C:\Program Files\x y", ["c:", r"\program files", "x y", "c:>program files"]),
            ("nothing", "-", ["", "", "", ""]),
            ("empty", " ", ["", "", "", ""]),
            ("a pipe", r"\Device\NamedPipe\lsass", ["", "", "", ""]),
        ];
        for (id, name, expected) in rows {
            assert_eq!(parts(Location::of_object(name)), expected, "{id}");
        }
    }

    #[test]
    fn share_events_name_the_share_themselves() {
        let rows = [
            ("P04", r"\\SERVER\proj", "x", ["proj", r"\", "x", "proj"]),
            (
                "P06",
                r"\\AMZNFSX1\demoshare01",
                "Desktop.ini",
                ["demoshare01", r"\", "desktop.ini", "demoshare01"],
            ),
            ("P07", r"\\*\share", r"\", ["share", r"\", "", "share"]),
            ("P07 empty", r"\\*\share", "", ["share", r"\", "", "share"]),
            (
                "nested",
                r"\\*\Share",
                r"Secret\Plans\A.doc",
                ["share", r"\secret\plans", "a.doc", "share>secret>plans"],
            ),
            ("leading backslash", r"\\*\share", r"\secret\a", ["share", r"\secret", "a", "share>secret"]),
            ("pipe of IPC$", r"\\*\IPC$", "srvsvc", ["ipc$", r"\", "srvsvc", "ipc$"]),
            ("no share", "-", "x", ["", "", "", ""]),
        ];
        for (id, share, relative, expected) in rows {
            assert_eq!(parts(Location::in_share(share, relative)), expected, "{id}");
        }
    }

    #[test]
    fn the_path_is_bounded() {
        let deep = format!(r"C:\{}x", r"d\".repeat(10_000));
        let location = Location::of_object(&deep).expect("a drive path is a place");
        assert_eq!(location.path.len(), PARTS_MAX);
        assert_eq!(location.file.as_deref(), Some("x"));
    }
}
