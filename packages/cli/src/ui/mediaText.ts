/**
 * Writes what files say of themselves: as a line for people, and as CSV.
 */
import { MediaRecord } from "@fanout/ops/MediaRecord"
import * as Struct from "effect/Struct"
import * as format from "./format.ts"

const given = (parts: ReadonlyArray<string | undefined>, separator: string): string =>
  parts.filter((part) => part !== undefined && part !== "").join(separator)

const round = (value: number, digits: number): string => String(Number(value.toFixed(digits)))

/** How a camera shows how long its shutter was open. */
const exposure = (seconds: number): string =>
  seconds < 0.3 ? `1/${Math.round(1 / seconds)} s` : `${round(seconds, 1)} s`

/** Length of a sound or a film: `3:25`, `1:02:03`. */
const clock = (seconds: number): string => {
  const whole = Math.round(seconds)
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const [first = 0, ...rest] = parts[0] === 0 ? parts.slice(1) : parts
  return [String(first), ...rest.map((part) => String(part).padStart(2, "0"))].join(":")
}

/** Make and model; most makers put their name into both. */
const camera = ({ cameraMake, cameraModel }: MediaRecord): string =>
  cameraMake !== undefined &&
    cameraModel?.toLowerCase().startsWith(cameraMake.toLowerCase().split(" ")[0] ?? "") === true
    ? cameraModel
    : given([cameraMake, cameraModel], " ")

const place = ({ altitude, latitude, longitude }: MediaRecord): string =>
  latitude === undefined || longitude === undefined
    ? ""
    : `${round(latitude, 5)}, ${round(longitude, 5)}${altitude === undefined ? "" : ` at ${round(altitude, 0)} m`}`

/** What of a record people look for, on one line. */
export const summary = (record: MediaRecord): string => {
  const { artists, audioCodec, duration, exposureSeconds, fNumber, height, iso, orientation, title, videoCodec } =
    record
  const { mimeType, sampleRate, takenAt, width } = record
  const parts = [
    mimeType.replace(/^[a-z]+\//, ""),
    width === undefined || height === undefined ? undefined : `${width} × ${height}`,
    orientation === undefined || orientation === 1 ? undefined : `orientation ${orientation}`,
    duration === undefined ? undefined : clock(duration),
    given([videoCodec, audioCodec, sampleRate === undefined ? undefined : `${round(sampleRate / 1000, 1)} kHz`], " "),
    takenAt,
    camera(record),
    given([
      exposureSeconds === undefined ? undefined : exposure(exposureSeconds),
      fNumber === undefined ? undefined : `f/${round(fNumber, 1)}`,
      iso === undefined ? undefined : `ISO ${iso}`
    ], " "),
    place(record),
    given([artists?.join(", "), title], ": "),
    record.problems === undefined ? undefined : format.counted(record.problems.length, "problem")
  ]
  return format.printable(given(parts, ", "))
}

// --- CSV ------------------------------------------------------------------------------------------------------------

const { raw: _, ...fields } = MediaRecord.fields

const columns = Struct.keys(fields)

/** By RFC 4180: what has a comma, a quote or a line of its own is quoted. */
const cell = (value: string): string => /[",\r\n]/.test(value) ? `"${value.replaceAll("\"", "\"\"")}"` : value

const valueOf = (value: MediaRecord[Exclude<keyof MediaRecord, "raw">]): string =>
  value === undefined ? "" : typeof value === "object" ? value.join("; ") : String(value)

const row = (cells: ReadonlyArray<string>): string => `${cells.map(cell).join(",")}\r\n`

/** Line that names the columns. */
export const csvHeader: string = row(["name", ...columns])

/** Whether a file that begins with these bytes holds records, in any style. No photo, sound or film begins so. */
export const isOwn = (start: Uint8Array): boolean =>
  /^(?:name,|\{"v":1,"type":"metadata",|[^<\p{Cc}\ufffd][^\p{Cc}\ufffd]*: )/u.test(Buffer.from(start).toString())

/** Line of a record. Lists are put together by semicolons. */
export const csv = (name: string, record: MediaRecord): string =>
  row([name, ...columns.map((column) => valueOf(record[column]))])
