/**
 * Job: checks the files that a checksum file names, durably.
 *
 * The source is the file's lines, so a cursor is the number of a line. The file is read from its start by each run, in
 * the memory that its longest line takes, and has to be what it was when the job was started.
 *
 * @since 0.1.0
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ChecksumCheck from "./ChecksumCheck.ts"
import * as ChecksumLine from "./ChecksumLine.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import * as HashAlgorithms from "./HashAlgorithm.ts"
import { HashAlgorithm } from "./HashAlgorithm.ts"
import { CheckFile } from "./HashTask.ts"
import * as ProtectedFiles from "./ProtectedFiles.ts"
import * as SourceCursor from "./SourceCursor.ts"

/**
 * Error of a checksum file that nothing can be checked by.
 *
 * @category errors
 * @since 0.1.0
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
 * @since 0.1.0
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
  /** Files that are not read: those of the job's own database. Without links above their names. */
  leaveOut: Schema.optionalKey(Schema.Array(FilePath.FilePath))
})

/**
 * What is to be checked.
 *
 * @category models
 * @since 0.1.0
 */
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many lines came to what; what each did is in its rows.
 *
 * @category constructors
 * @since 0.1.0
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

/**
 * Works out what to check. Fails where the file can't be read, or no line of it is a checksum.
 *
 * @category running
 * @since 0.1.0
 */
export const plan = (
  { algorithm, file: given, ...where }: Pick<Payload, "algorithm" | "file" | "folder" | "leaveOut">
): Effect.Effect<Payload, UnusableChecksums, Files.Files> =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const path = yield* files.realPath(given)
    const { edition, file } = yield* open(path)
    let sampled = false
    const first = yield* linesOf(file).pipe(
      Stream.tap((line) =>
        Effect.sync(() => {
          sampled ||= line._tag === "Malformed" && line.problem === "Sampled"
        })
      ),
      Stream.filter((line) => line._tag === "Checksum"),
      Stream.runHead
    )
    if (Option.isNone(first)) {
      return yield* unusable(
        path,
        sampled
          ? `${quoted(given)} holds content ids of samples, which tell nothing about the rest of a file`
          : `No line of ${quoted(given)} is a checksum and a name`
      )
    }
    return { algorithm, likely: HashAlgorithms.fromFileName(given), file: path, edition, ...where }
  }).pipe(Effect.scoped, Effect.catchTag("FilesError", (error) => Effect.fail(unreadable(error))))

/**
 * Name of the fan-out whose rows have the results.
 *
 * @category models
 * @since 0.1.0
 */
export const fanOutName = "lines"

type Element = FanOut.Element<Task.Payload<typeof CheckFile>>

const placeOf = (lineNumber: number, path: FilePath.FilePath): string => `${lineNumber} ${FilePath.toText(path)}`

/**
 * Line that a cursor is of: its number, and the name as it stands there; empty where there is none.
 *
 * @category accessors
 * @since 0.1.0
 */
export const lineOf = (cursor: string): { readonly lineNumber: number; readonly path: FilePath.FilePath } => {
  const place = SourceCursor.placeOf(cursor)
  const space = place.indexOf(" ")
  return { lineNumber: Number(place.slice(0, space)), path: FilePath.fromText(place.slice(space + 1)) }
}

/**
 * Code of the error that a line ends with by which nothing can be checked.
 *
 * @category models
 * @since 0.1.0
 */
export const malformedCode = "Malformed"

/** What is to be checked, and whether files of the job's database have other names. */
interface Checked extends Payload {
  readonly isLinked: boolean
}

const elementOf = (payload: Checked, number: number, line: ChecksumLine.Line): Element =>
  Result.match(ChecksumCheck.fromLine(line, payload), {
    onSuccess: ({ algorithms, digest, lineNumber, path }): Element => ({
      _tag: "Item",
      cursor: SourceCursor.format(number, placeOf(lineNumber, path)),
      payload: { path: FilePath.join(payload.folder, path), digest, algorithms, ...leavingOut(payload) }
    }),
    onFailure: ({ lineNumber, problem }): Element => ({
      _tag: "Settled",
      cursor: SourceCursor.format(number, placeOf(lineNumber, FilePath.empty)),
      key: FilePath.display(payload.file),
      outcome: {
        _tag: "Failed",
        failure: {
          _tag: "Error",
          error: { code: malformedCode, problem },
          message: `line ${lineNumber} ${ChecksumLine.explain(problem)}`
        }
      }
    })
  })

const leavingOut = (
  { isLinked, leaveOut = [] }: Checked
): Pick<Task.Payload<typeof CheckFile>, "leaveOut" | "isLinked"> =>
  leaveOut.length === 0 ? {} : { leaveOut, ...isLinked ? { isLinked } : {} }

/** What the lines ask for, behind a cursor; comments and empty lines are no elements. */
const elements = (
  payload: Checked,
  after: Option.Option<string>
): Stream.Stream<Element, UnusableChecksums, Files.Files> => {
  const done = Option.match(after, { onNone: () => 0, onSome: (cursor) => lineOf(cursor).lineNumber })
  const first = Option.match(after, { onNone: () => 0, onSome: (cursor) => SourceCursor.numberOf(cursor) + 1 })
  const opened = Effect.gen(function*() {
    const { edition, file } = yield* open(payload.file)
    if (edition !== payload.edition) {
      return yield* unusable(payload.file, `${quoted(payload.file)} is not what it was when this job was started`)
    }
    return linesOf(file).pipe(
      Stream.filter(({ lineNumber }) => lineNumber > done),
      Stream.mapAccum(() => first, (number, line) => [number + 1, [elementOf(payload, number, line)]])
    )
  })
  return Stream.catchTag(Stream.unwrap(opened), "FilesError", (error) => Stream.fail(unreadable(error)))
}

/**
 * The job's program.
 *
 * @category running
 * @since 0.1.0
 */
export const program = Effect.fnUntraced(function*(payload: Payload) {
  const { fanOut } = yield* TaskDispatcher
  const linked = yield* ProtectedFiles.withOtherNames(payload.leaveOut ?? [])
  const checked = { ...payload, isLinked: linked.length > 0 }
  return yield* fanOut(fanOutName, CheckFile, (after) => elements(checked, after), {
    keep: "all",
    concurrency: 256,
    flushEvery: 256
  })
    // It collects failures, so it never gives up.
    .pipe(Effect.catchTag("FanOutStopped", Effect.die))
})

/**
 * Layer that supplies the job's program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Job.ToHandler<typeof job>, never, Files.Files | Task.Handler<typeof CheckFile>> = job
  .toLayer(program)
