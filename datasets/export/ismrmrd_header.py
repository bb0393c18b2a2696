"""The XML header of an ISMRMRD file, from a raw scan."""

from spinforge.datasets.export.raw_scan import RawScan, flip_angle_deg
from spinforge.simulation.errors import SpinforgeError

try:
    from ismrmrd import xsd
except ImportError as error:
    raise SpinforgeError(
        "raw-data exports need the package ismrmrd, which is not installed. Run: "
        "pip install 'spinforge[ismrmrd]'"
    ) from error

GAMMA_HZ_PER_T = 42.577478e6
"""Gyromagnetic ratio of the proton over 2 pi (CODATA 2018) [Hz/T]."""


def header_xml(scan: RawScan) -> str:
    """Describe a scan; the encoded and the reconstructed space are the same.

    Times are milliseconds and lengths millimetres, as the schema says. The read-out is `kx`
    (posterior to anterior), phase encoding `ky` (left to right).
    """
    n_slices, n_coils, n_lines, n_samples = scan.kspace.shape
    thickness, along_y, along_x = scan.spacing_mm
    space = xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=n_samples, y=n_lines, z=1),
        fieldOfView_mm=xsd.fieldOfViewMm(x=n_samples * along_y, y=n_lines * along_x, z=thickness),
    )
    limits = xsd.encodingLimitsType(
        kspace_encoding_step_0=_limits(n_samples),
        kspace_encoding_step_1=_limits(n_lines),
        kspace_encoding_step_2=xsd.limitType(minimum=0, maximum=0, center=0),
        slice=_limits(n_slices),
    )
    header = xsd.ismrmrdHeader(
        subjectInformation=xsd.subjectInformationType(
            patientName=scan.subject, patientID=scan.subject
        ),
        measurementInformation=xsd.measurementInformationType(
            measurementID="1",
            patientPosition=xsd.patientPositionType.HFS,
            protocolName=f"simulated {scan.sequence['kind'].replace('_', ' ')}",
        ),
        acquisitionSystemInformation=xsd.acquisitionSystemInformationType(
            systemVendor="Spinforge (simulated)",
            systemFieldStrength_T=scan.field_t,
            receiverChannels=n_coils,
        ),
        experimentalConditions=xsd.experimentalConditionsType(
            H1resonanceFrequency_Hz=round(GAMMA_HZ_PER_T * scan.field_t)
        ),
        encoding=[
            xsd.encodingType(
                encodedSpace=space,
                reconSpace=space,
                encodingLimits=limits,
                trajectory=xsd.trajectoryType.CARTESIAN,
            )
        ],
        sequenceParameters=xsd.sequenceParametersType(
            TR=[1e3 * scan.tr],
            TE=[1e3 * scan.te],
            TI=[scan.sequence["ti_ms"]] if "ti_ms" in scan.sequence else [],
            flipAngle_deg=[flip_angle_deg(scan.sequence)],
            sequence_type=scan.sequence["kind"],
        ),
        userParameters=_user_parameters(scan),
    )
    return str(xsd.ToXML(header))


def _limits(count: int) -> xsd.limitType:
    return xsd.limitType(minimum=0, maximum=count - 1, center=count // 2)


def _user_parameters(scan: RawScan) -> xsd.userParametersType:
    """Noise if it is known, mask and what identifies the data."""
    texts = {
        "mask_id": scan.mask_name,
        "content_sha256": scan.attributes["content_sha256"],
        "config_hash": scan.attributes["config_hash"],
        "centre_line_flag": "ACQ_USER1",
    }
    known = [] if scan.noise_std is None else [scan.noise_std]
    return xsd.userParametersType(
        userParameterDouble=[xsd.userParameterDoubleType(name="sigma", value=v) for v in known],
        userParameterString=[
            xsd.userParameterStringType(name=n, value=v) for n, v in texts.items()
        ],
    )
