/**
 * Job: checks the files that a checksum file names, durably.
 *
 * The source is the file's lines, so a cursor is the number of a line. The file is read from its start by each run, in
 * the memory that its longest line takes, and has to be what it was when the job was started.
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Outcome from "@fanout/core/Outcome"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import type * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ChecksumLine from "./ChecksumLine.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import * as HashAlgorithms from "./HashAlgorithm.ts"
import { HashAlgorithm } from "./HashAlgorithm.ts"
import * as ChecksumCheck from "./internal/hash/checksumCheck.ts"
import { type CheckedFiles, CheckFiles, named } from "./internal/hash/hashTask.ts"
import { layer as handlers } from "./internal/hash/hashTaskLive.ts"
import { gathered, type Gatherer } from "./internal/tree/gatheredNames.ts"
import * as SourceCursor from "./internal/tree/sourceCursor.ts"
import { whileThere } from "./internal/work/diskPause.ts"
import { filesAtOnce } from "./internal/work/fileConcurrency.ts"
import * as JobFileSystems from "./internal/work/jobFileSystems.ts"
import * as ProtectedFiles from "./internal/work/protectedFiles.ts"
import { type CloudAddressError, formatAddress, parseAddress } from "./ObjectStore.ts"

/**
 * Error of a checksum file that nothing can be checked by.
 *
 * @category errors
 */
export class UnusableChecksums
  extends Schema.TaggedError<UnusableChecksums>("@fanout/ops/HashCheck/UnusableChecksums")("UnusableChecksums", {
    path: FilePath.FilePath,
    why: Schema.String
  })
{
  override get message(): string {
    return this.why
  }
}

/**
 * Schema for what is to be checked.
 *
 * @category schemas
 */
export const Payload = Schema.Struct({
  /** The only one that lines may be of. */
  algorithm: Schema.Option(HashAlgorithm),
  /** The one that the name of the file tells. */
  likely: Schema.Option(HashAlgorithm),
  /** The checksum file, absolute and without links. */
  file: FilePath.FilePath,
  /** Tells whether the file is what it was. */
  edition: Schema.String,
  /** Folder that relative names are taken from. */
  folder: FilePath.FilePath,
  /** Topmost folder that the first file is in, if its name is absolute: others are likely to be there. */
  top: Schema.optionalKey(FilePath.FilePath),
  /** Bucket of the first object, if the file names any. */
  bucket: Schema.optionalKey(FilePath.FilePath),
  /** Files that are not read: those of the job's own database. Without links above their names. */
  leaveOut: Schema.optionalKey(Schema.Array(FilePath.FilePath)),
  /** What the folder, and the first file, were on when the job was planned, where that has a name. */
  homes: Schema.optionalKey(Schema.Array(JobFileSystems.Home))
})
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many lines came to what; what each did is in its rows.
 *
 * @category constructors
 */
export const job = Job.make("hash-check", {
  payload: Payload,
  success: Progress.Tally,
  error: UnusableChecksums,
  idempotencyKey: ({ algorithm, edition, file, folder, likely }) =>
    JSON.stringify([file, edition, folder, Option.getOrNull(algorithm), Option.getOrNull(likely)])
})

const quoted = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

const unusable = (path: FilePath.FilePath, why: string) => new UnusableChecksums({ path, why })

/** Opens a checksum file that can be read again, and tells its edition. */
const open = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const files = yield* Files.Files
  const file = yield* files.open(path)
  const { inode, kind, modifiedNanos, sizeBytes } = yield* file.stat
  if (kind !== "file") return yield* unusable(path, `${quoted(path)} is no file that can be read again`)
  return { file, edition: `${inode} ${sizeBytes} ${modifiedNanos}` }
})

const unreadable = ({ message, path }: FilesError) => unusable(path, message)

const pieceBytes = 65_536

/** Lines of a checksum file, piece by piece. */
const linesOf = (file: Files.OpenFile): Stream.Stream<ChecksumLine.Line, FilesError> => {
  const reader = new ChecksumLine.Reader()
  const buffer = new Uint8Array(pieceBytes)
  const pieces = Stream.paginate(undefined, () =>
    Effect.map(file.read(buffer), (length) =>
      length === 0
        ? [[reader.rest], Option.none<undefined>()] as const
        : [[reader.add(buffer.subarray(0, length))], Option.some(undefined)] as const))
  return Stream.flattenIterable(pieces)
}

/** What the lines of a file have told so far. */
interface Found {
  /** What the first line names. */
  readonly first?: FilePath.FilePath
  readonly bucket?: FilePath.FilePath
  readonly sampled?: boolean
}

const look = (found: Found, line: ChecksumLine.Line): Found => {
  if (line._tag === "Malformed") return line.problem === "Sampled" ? { ...found, sampled: true } : found
  const first = found.first ?? line.path
  const address = found.bucket === undefined && FilePath.isAddress(line.path) ? parseAddress(line.path) : undefined
  return address === undefined || Result.isFailure(address)
    ? { ...found, first }
    : { ...found, first, bucket: FilePath.make(formatAddress({ ...address.success, key: "" })) }
}

/**
 * Works out what to check. Fails where the file can't be read, or no line of it is a checksum.
 *
 * @category running
 */
export const plan = (
  { algorithm, file: given, ...where }: Pick<Payload, "algorithm" | "file" | "folder" | "leaveOut">
): Effect.Effect<Payload, UnusableChecksums, Files.Files> =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const path = yield* files.realPath(given)
    const { edition, file } = yield* open(path)
    const { bucket, first, sampled } = yield* Stream.runFold(linesOf(file), (): Found => ({}), look)
    if (first === undefined) {
      return yield* unusable(
        path,
        sampled === true
          ? `${quoted(given)} holds content ids of samples, which tell nothing about the rest of a file`
          : `No line of ${quoted(given)} is a checksum and a name`
      )
    }
    const [, top] = /^(\/[^/]+)\//.exec(first) ?? []
    return {
      algorithm,
      likely: HashAlgorithms.fromFileName(given),
      file: path,
      edition,
      ...where,
      ...top === undefined ? {} : { top: FilePath.make(top) },
      ...bucket === undefined ? {} : { bucket },
      homes: yield* JobFileSystems.find([where.folder, named(where.folder, first)])
    }
  }).pipe(Effect.scoped, Effect.catchTag("FilesError", (error) => Effect.fail(unreadable(error))))

/**
 * Folders that most of the files are likely to be in.
 *
 * @category accessors
 */
export const likelyPaths = (
  { bucket, folder, top }: Pick<Payload, "bucket" | "folder" | "top">
): ReadonlyArray<FilePath.FilePath> => [folder, top, bucket].filter((path) => path !== undefined)

/**
 * Name of the fan-out whose rows have the results.
 *
 * @category models
 */
export const fanOutName = "lines"

type Payloads = Task.Payload<typeof CheckFiles>
type Element = Source.Element<Payloads>

const placeOf = (lineNumber: number, path: FilePath.FilePath): string => `${lineNumber} ${FilePath.toText(path)}`

/** Line that a cursor is of: its number, and the name as it stands there; empty where there is none. */
const lineOf = (cursor: string): { readonly lineNumber: number; readonly path: FilePath.FilePath } => {
  const place = SourceCursor.placeOf(cursor)
  const space = place.indexOf(" ")
  return { lineNumber: Number(place.slice(0, space)), path: FilePath.fromText(place.slice(space + 1)) }
}

/** Code of the error that a line ends with by which nothing can be checked. */
const malformedCode = "Malformed"

/** Lines whose files have the digests that they are to have, as a row tells of them. */
const Matched = Schema.TaggedStruct("Matched", {
  lines: Schema.Array(Schema.Struct({
    /** Place of the line among those that are no comments, from 0 on. */
    number: Schema.Natural,
    lineNumber: Schema.Natural,
    /** As it stands in the line. */
    path: FilePath.FilePath,
    algorithm: HashAlgorithm,
    sizeBytes: Schema.Natural
  }))
})

/** The algorithm by which the last file had its digest: most of a checksum file is of the same. */
interface Likely {
  algorithm: HashAlgorithm | undefined
}

/** What is to be checked, and whether files of the job's database have other names. */
interface Checked extends Payload {
  readonly isLinked: boolean
}

/** So many lines are one element, unless they are long: until it is done all of them are in the checkpoint. */
const together = { lines: 128, textLength: 16_384 }

/** A line, and its place among those that are no comments. */
interface Gathered extends ChecksumCheck.ChecksumCheck {
  readonly number: number
}

/** Gathers lines whose files are checked together, and tells of those by which nothing can be checked. */
const gatherer = (
  checked: Checked,
  likely: Likely,
  /** Of the next line. */
  number: number
): Gatherer<ChecksumLine.Line, Element> => {
  const ownNames: ReadonlySet<string> = new Set((checked.leaveOut ?? []).map(FilePath.name))
  let lines: Array<Gathered> = []
  let length = 0
  const flush = (): ReadonlyArray<Element> => {
    const all = lines
    lines = []
    length = 0
    return Arr.isReadonlyArrayNonEmpty(all) ? [itemOf(all, checked, likely)] : []
  }
  const add = (line: ChecksumLine.Line): ReadonlyArray<Element> => {
    const own = number++
    const found = ChecksumCheck.fromLine(line, checked)
    if (Result.isFailure(found)) return [...flush(), malformed(found.failure, own, checked)]
    const { algorithms, digest, path } = found.success
    const address = FilePath.isAddress(path) ? parseAddress(path) : undefined
    if (address !== undefined && Result.isFailure(address)) return [...flush(), noAddress(line, own, address.failure)]
    // Only its whole path tells that it is one of the database, or that it has to be a folder.
    const isAlone = checked.isLinked || path.endsWith("/") || ownNames.has(FilePath.name(path))
    const [first] = lines
    const isOver = lines.length >= together.lines || length + digest.length + path.length > together.textLength
    const isOther = first !== undefined && !Equal.equals(first.algorithms, algorithms)
    const before = isAlone || isOver || isOther ? flush() : []
    lines.push({ ...found.success, number: own })
    length += digest.length + path.length
    return isAlone ? [...before, ...flush()] : before
  }
  return { add, flush }
}

const malformed = ({ lineNumber, problem }: ChecksumCheck.Refused, number: number, { file }: Checked): Element => {
  const message = `line ${lineNumber} ${ChecksumLine.explain(problem)}`
  return Source.settled(SourceCursor.format(number, placeOf(lineNumber, FilePath.empty)), {
    key: FilePath.display(file),
    outcome: { _tag: "Failed", failure: { _tag: "Error", error: { code: malformedCode, problem }, message } }
  })
}

/** Of a name that is no address only what may be told is kept. */
const noAddress = (
  { lineNumber }: ChecksumLine.Line,
  number: number,
  { message, text }: CloudAddressError
): Element => {
  const path = FilePath.make(text)
  return Source.settled(SourceCursor.format(number, placeOf(lineNumber, path)), {
    key: FilePath.display(path),
    outcome: { _tag: "Failed", failure: { _tag: "Error", error: { code: "Address" }, message } }
  })
}

/** Lines that are checked together, at the place of the last. */
const itemOf = (
  gathered: Arr.NonEmptyReadonlyArray<Gathered>,
  { folder, isLinked, leaveOut = [] }: Checked,
  { algorithm: likely }: Likely
): Element => {
  const [{ algorithms }] = gathered
  const { lineNumber, number, path } = Arr.lastNonEmpty(gathered)
  return Source.item(SourceCursor.format(number, placeOf(lineNumber, path)), {
    root: folder,
    paths: Arr.map(gathered, ({ path }) => path),
    digests: gathered.map(({ digest }) => digest),
    lineNumbers: gathered.map(({ lineNumber }) => lineNumber),
    algorithms: likely !== undefined && algorithms.includes(likely)
      ? [likely, ...algorithms.filter((one) => one !== likely)]
      : algorithms,
    ...leaveOut.length === 0 ? {} : { leaveOut, ...isLinked ? { isLinked } : {} }
  })
}

/** Tells which lines are well, and has the others checked alone. */
const partsOf = (likely: Likely): FanOut.Parts<Payloads, CheckedFiles> => ({ cursor, payload }, value) => {
  const { digests, lineNumbers, paths, ...rest } = payload
  if (paths.length === 1 && Option.isNone(value)) return undefined
  const first = SourceCursor.numberOf(cursor) - (paths.length - 1)
  const checked = Option.getOrElse(value, (): CheckedFiles => [])
  const lines: Array<(typeof Matched.Type)["lines"][number]> = []
  const others: Array<Element> = []
  paths.forEach((path, index) => {
    const [digest = "", lineNumber = 0] = [digests[index], lineNumbers[index]]
    const [number, found] = [first + index, checked[index] ?? null]
    if (found !== null) return lines.push({ number, lineNumber, path, ...found })
    const payload: Payloads = { ...rest, paths: [path], digests: [digest], lineNumbers: [lineNumber] }
    return others.push(Source.item(SourceCursor.format(number, placeOf(lineNumber, path)), payload))
  })
  const last = lines.at(-1)
  if (last === undefined) return others
  likely.algorithm = last.algorithm
  // The number of the first at the place of the last: none of the others has both.
  return [
    Source.settled(SourceCursor.format(first, SourceCursor.placeOf(cursor)), {
      key: FilePath.display(named(payload.root, paths[0])),
      outcome: { _tag: "Done", value: { _tag: "Matched", lines }, count: lines.length }
    }),
    ...others
  ]
}

/** What the lines ask for, behind a cursor; comments and empty lines are no elements. */
const elements = (
  payload: Checked,
  likely: Likely,
  after: Option.Option<string>
): Stream.Stream<Element, UnusableChecksums, Files.Files> => {
  const done = Option.match(after, { onNone: () => 0, onSome: (cursor) => lineOf(cursor).lineNumber })
  const opened = Effect.gen(function*() {
    const { edition, file } = yield* open(payload.file)
    if (edition !== payload.edition) {
      return yield* unusable(payload.file, `${quoted(payload.file)} is not what it was when this job was started`)
    }
    return gathered(
      Stream.filter(linesOf(file), ({ lineNumber }) => lineNumber > done),
      () => gatherer(payload, likely, SourceCursor.nextNumber(after))
    )
  })
  return Stream.catchTag(Stream.unwrap(opened), "FilesError", (error) => Stream.fail(unreadable(error)))
}

/**
 * The job's program.
 *
 * @category running
 */
export const program = Effect.fnUntraced(function*(payload: Payload) {
  const { fanOut } = yield* TaskDispatcher
  const linked = yield* ProtectedFiles.withOtherNames(payload.leaveOut ?? [])
  const checked = { ...payload, isLinked: linked.length > 0 }
  const likely: Likely = { algorithm: undefined }
  const concurrency = yield* filesAtOnce
  const options = { keep: "all", parts: partsOf(likely), concurrency, flushEvery: 32 } as const
  const checking = fanOut(fanOutName, CheckFiles, (after) => elements(checked, likely, after), options)
  // It collects failures, so it never gives up.
  return yield* whileThere(payload.homes, checking)
})

/**
 * Layer that supplies the job's program, for any file system. All work is done on fibers.
 *
 * @category layers
 */
export const layer: Layer.Layer<Job.ToProgram<typeof job>, never, Files.Files> = job.toLayer(program).pipe(
  Layer.provide(handlers)
)

/**
 * What a line came to: its file has the digest, has another one or changed while it was read, is not there, could not
 * be read; or the line is no checksum.
 *
 * @category models
 */
export type Status = "ok" | "changed" | "missing" | "unreadable" | "malformed"

/**
 * Line that was dealt with.
 *
 * @category models
 */
export interface Line {
  /** Place of the line among those that are no comments, from 0 on. */
  readonly number: number
  readonly lineNumber: number
  /** As it stands in the line; empty where that is malformed. */
  readonly path: FilePath.FilePath
  readonly status: Status
  /** Why it is not well; empty where it is. */
  readonly why: string
  readonly matched: Option.Option<{ readonly algorithm: HashAlgorithm; readonly sizeBytes: number }>
}

const decodeMatched = Schema.decodeUnknownSync(Schema.toCodecJson(Matched))

const decodeCode = Schema.decodeUnknownOption(Schema.Struct({ code: Schema.String }))

const statuses: Readonly<Partial<Record<string, Status>>> = {
  Changed: "changed",
  Different: "changed",
  ENOENT: "missing",
  ENOTDIR: "missing",
  [malformedCode]: "malformed"
}

const statusOf = (failure: Outcome.Failure): Status => {
  const error = failure._tag === "Error" ? decodeCode(failure.error) : Option.none()
  return Option.match(error, { onNone: () => "unreadable", onSome: ({ code }) => statuses[code] ?? "unreadable" })
}

/**
 * Reads a row of this job, and throws on any other.
 *
 * @category constructors
 */
export const fromRow = ({ cursor, outcome }: OutcomeRow): ReadonlyArray<Line> => {
  const unwell = (status: Status, why: string): ReadonlyArray<Line> => [
    { number: SourceCursor.numberOf(cursor), ...lineOf(cursor), status, why, matched: Option.none() }
  ]
  return Outcome.Outcome.match(outcome, {
    Done: ({ value }) =>
      decodeMatched(value).lines.map(({ algorithm, lineNumber, number, path, sizeBytes }): Line => ({
        number,
        lineNumber,
        path,
        status: "ok",
        why: "",
        matched: Option.some({ algorithm, sizeBytes })
      })),
    Skipped: ({ reason }) => unwell("unreadable", reason),
    Failed: ({ failure }) => unwell(statusOf(failure), Outcome.message(failure))
  })
}
