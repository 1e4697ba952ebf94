"""Windows audit events as XML, in the form FSx for Windows File Server and the CloudWatch agent ship them.

The values are those of published samples, with names of our own. The program's own parser is not used here.
"""

import datetime
import itertools
from xml.sax.saxutils import escape

_records = itertools.count(294054)
FAILURE = "0x8010000000000000"
SUCCESS = "0x8020000000000000"


ANYBODY = "S-1-5-21-658495921-4185342820-3824891517-1113"


def event(
    event_id: int,
    task: int,
    keywords: str,
    computer: str,
    fields: dict[str, str],
    at_ms: int,
    record: int | None = None,
) -> str:
    """One Security event, one line; with this record number, or the next."""
    when = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
    data = "".join(f"<Data Name='{name}'>{escape(value)}</Data>" for name, value in fields.items())
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        "<Provider Name='Microsoft-Windows-Security-Auditing' Guid='{54849625-5478-4994-A5BA-3E3B0328C30D}'/>"
        f"<EventID>{event_id}</EventID><Version>1</Version><Level>0</Level><Task>{task}</Task><Opcode>0</Opcode>"
        f"<Keywords>{keywords}</Keywords><TimeCreated SystemTime='{when}'/>"
        f"<EventRecordID>{next(_records) if record is None else record}</EventRecordID><Correlation/><Execution ProcessID='4' ThreadID='528'/>"
        f"<Channel>Security</Channel><Computer>{computer}</Computer><Security/></System>"
        f"<EventData>{data}</EventData></Event>"
    )


def denied_open(
    user: str = "alice",
    file: str = r"\Device\HarddiskVolume16\share\secret\roadmap_do_not_share.doc",
    at_ms: int = 0,
    keywords: str = FAILURE,
    sid: str = ANYBODY,
    kind: str = "File",
) -> str:
    """4656: a handle was requested and refused."""
    fields = {
        "SubjectUserSid": sid,
        "SubjectUserName": user,
        "SubjectDomainName": "CORP",
        "SubjectLogonId": "0x5e58d7",
        "ObjectServer": "Security",
        "ObjectType": kind,
        "ObjectName": file,
        "HandleId": "0x0",
        "TransactionId": "{00000000-0000-0000-0000-000000000000}",
        "AccessList": "%%1541%%4423",
        "AccessReason": "%%1541: %%1805%%4423: %%1811 D:(A;OICIID;0x1301bf;;;AU)",
        "AccessMask": "0x100080",
        "PrivilegeList": "-",
        "RestrictedSidCount": "0",
        "ProcessId": "0x4",
        "ProcessName": "",
        "ResourceAttributes": "-",
    }
    return event(4656, 12800, keywords, "amznfsxabc12345.corp.example.com", fields, at_ms)


def file_used(file: str, mask: str, user: str = "alice", at_ms: int = 0) -> str:
    """4663: rights to a file were used; 0x1 reads it, 0x10000 deletes it."""
    fields = {
        "SubjectUserSid": ANYBODY,
        "SubjectUserName": user,
        "SubjectDomainName": "CORP",
        "SubjectLogonId": "0x5e58d7",
        "ObjectServer": "Security",
        "ObjectType": "File",
        "ObjectName": rf"\Device\HarddiskVolume16\share\{file}",
        "HandleId": "0x1f4",
        "AccessMask": mask,
        "ProcessId": "0x4",
        "ProcessName": "",
    }
    return event(4663, 12800, SUCCESS, "amznfsxabc12345.corp.example.com", fields, at_ms)


def logon(user: str = "alice", machine: str = "SRV1", address: str = "198.51.100.7", at_ms: int = 0) -> str:
    """4624: a logon over the network."""
    fields = {
        "TargetUserSid": ANYBODY,
        "TargetUserName": user,
        "TargetDomainName": "CORP",
        "TargetLogonId": "0x8dcdc",
        "LogonType": "3",
        "LogonProcessName": "NtLmSsp ",
        "AuthenticationPackageName": "NTLM",
        "IpAddress": address,
        "IpPort": "50124",
    }
    return event(4624, 12544, SUCCESS, machine, fields, at_ms)


def ntlm_refused(user: str = "administrator", machine: str = "SRV1", at_ms: int = 0) -> str:
    """4776: a password was checked and was wrong."""
    fields = {
        "PackageName": "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0",
        "TargetUserName": user,
        "Workstation": "KALI",
        "Status": "0xc000006a",
    }
    return event(4776, 14336, FAILURE, machine, fields, at_ms)


def service_ticket_refused(user: str = "administrator", machine: str = "SRV1", at_ms: int = 0) -> str:
    """4769: a ticket for a service was asked for and refused."""
    fields = {
        "TargetUserName": f"{user}@CORP.EXAMPLE.COM",
        "TargetDomainName": "CORP.EXAMPLE.COM",
        "ServiceName": "krbtgt",
        "TicketOptions": "0x40810010",
        "IpAddress": "::ffff:198.51.100.7",
        "Status": "0x20",
    }
    return event(4769, 14337, FAILURE, machine, fields, at_ms)


def lockout(user: str = "bob", caller: str = "WKS7", machine: str = "DC1", at_ms: int = 0) -> str:
    """4740: an account was locked out."""
    fields = {
        "TargetUserName": user,
        "TargetDomainName": caller,
        "TargetSid": ANYBODY,
        "SubjectUserSid": "S-1-5-18",
        "SubjectUserName": f"{machine}$",
        "SubjectDomainName": "CORP",
    }
    return event(4740, 13824, SUCCESS, machine, fields, at_ms)


def auditing_removed(user: str = "mallory", machine: str = "SRV1", at_ms: int = 0) -> str:
    """4719: success and failure auditing of the file system were taken away."""
    fields = {
        "SubjectUserSid": ANYBODY,
        "SubjectUserName": user,
        "SubjectDomainName": "CORP",
        "SubcategoryGuid": "{0CCE921D-69AE-11D9-BED3-505054503030}",
        "AuditPolicyChanges": "%%8448, %%8450",
    }
    return event(4719, 13568, SUCCESS, machine, fields, at_ms)


def auditing(event_id: int, machine: str = "SRV1", at_ms: int = 0) -> str:
    """4902, 4904, 4905: what Windows writes about auditing at each start; 4907: what installers set for their files."""
    fields = {"SubjectUserSid": "S-1-5-18", "SubjectUserName": f"{machine}$", "SubjectDomainName": "CORP"}
    return event(event_id, 13568, SUCCESS, machine, fields, at_ms)


def failed_logon(
    user: str = "administrator",
    machine: str = "SRV1",
    address: str = "198.51.100.7",
    at_ms: int = 0,
    domain: str = "CORP",
    record: int | None = None,
) -> str:
    """4625: a logon with a wrong password."""
    fields = {
        "SubjectUserSid": "S-1-0-0",
        "SubjectUserName": "-",
        "SubjectDomainName": "-",
        "SubjectLogonId": "0x0",
        "TargetUserSid": "S-1-0-0",
        "TargetUserName": user,
        "TargetDomainName": domain,
        "Status": "0xc000006d",
        "FailureReason": "%%2313",
        "SubStatus": "0xc000006a",
        "LogonType": "3",
        "LogonProcessName": "NtLmSsp ",
        "AuthenticationPackageName": "NTLM",
        "WorkstationName": "KALI",
        "TransmittedServices": "-",
        "LmPackageName": "-",
        "KeyLength": "0",
        "ProcessId": "0x0",
        "ProcessName": "-",
        "IpAddress": address,
        "IpPort": "50123",
    }
    return event(4625, 12544, FAILURE, machine, fields, at_ms, record)
