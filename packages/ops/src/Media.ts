/**
 * Job: reads what photos, sounds and films say of themselves, durably.
 *
 * Every file is an element of its own, so that one which keeps its thread to the deadline costs nobody else anything.
 * Every file has a number, which is in the cursor. Rows are stored as elements end, in any order; `SourceRows` puts
 * them back into the order of the walk.
 */
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import type * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FilePath from "./FilePath.ts"
import type * as Files from "./Files.ts"
import * as QuickFiles from "./internal/files/quickFiles.ts"
import * as FileTree from "./internal/tree/fileTree.ts"
import * as SourceCursor from "./internal/tree/sourceCursor.ts"
import * as Sources from "./internal/tree/sources.ts"
import * as TreeCursor from "./internal/tree/treeCursor.ts"
import { pathIn, pausing, whileThere } from "./internal/work/diskPause.ts"
import { countBeside } from "./internal/work/elementCount.ts"
import { filesAtOnce } from "./internal/work/fileConcurrency.ts"
import * as JobFileSystems from "./internal/work/jobFileSystems.ts"
import type { MediaRecord } from "./MediaRecord.ts"
import { MediaRead, ReadMedia } from "./MediaTask.ts"

/**
 * Schema for whose metadata is to be read.
 *
 * @category schemas
 */
export const Payload = Schema.Struct({
  ...Sources.Sources.fields,
  /** Whether all tags are kept, too, as the files have them. */
  raw: Schema.optionalKey(Schema.Boolean),
  /** What sources were on when the job was planned, where that has a name. */
  homes: Schema.optionalKey(Schema.Array(JobFileSystems.Home))
})
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many files came to what; records are in its rows.
 *
 * @category constructors
 */
export const job = Job.make("metadata", {
  payload: Payload,
  success: Progress.Tally,
  idempotencyKey: ({ output, raw, sources }) => JSON.stringify([sources, output ?? null, raw === true])
})

/**
 * Works out what to read.
 *
 * @category running
 */
export const plan = ({ raw, ...given }: Payload): Effect.Effect<Payload, never, Files.Files> =>
  Effect.gen(function*() {
    const planned = yield* Sources.plan(given)
    const homes = yield* JobFileSystems.find(planned.sources)
    return { ...planned, ...(raw === true ? { raw } : {}), homes }
  })

/**
 * Name of the fan-out whose rows have the records.
 *
 * @category models
 */
export const fanOutName = "files"

const walk = ({ sources }: Payload, after: Option.Option<string> = Option.none()) =>
  QuickFiles.walking(sources, FileTree.walk({ sources, after: Option.map(after, SourceCursor.placeOf) }))

/** Files and endings in the order of the walk. */
const elements = (
  id: JobId,
  { raw, ...given }: Payload,
  walked: ReturnType<typeof walk>,
  after: Option.Option<string> = Option.none()
) => {
  const endings = new Sources.SourceEndings(id, given)
  return walked.pipe(
    Stream.mapAccum(
      () => SourceCursor.nextNumber(after),
      (number, element): readonly [number, ReadonlyArray<Source.Element<Task.Payload<typeof ReadMedia>>>] => {
        const outcome = endings.of(element)
        if (outcome === "passed") return [number, []]
        const path = endings.absolute(element)
        const cursor = SourceCursor.format(number, element.cursor)
        return [number + 1, [
          outcome === "read"
            ? Source.item(cursor, { path, ...raw === true ? { raw } : {} })
            : Source.settled(cursor, { key: FilePath.display(path), outcome })
        ]]
      }
    )
  )
}

/**
 * What one file came to; `record` is `None` where it failed or was skipped.
 *
 * @category models
 */
export interface Line {
  /** Place of the file in the order of the walk, from 0 on. */
  readonly number: number
  readonly row: OutcomeRow
  /** Which of the sources it is in, and where. */
  readonly place: { readonly source: number; readonly path: FilePath.FilePath }
  readonly record: Option.Option<MediaRecord>
}

const decodeRead = Schema.decodeUnknownSync(MediaRead)

/**
 * Reads a row of this job, and throws on any other.
 *
 * @category constructors
 */
export const fromRow = (row: OutcomeRow): Line => ({
  number: SourceCursor.numberOf(row.cursor),
  row,
  place: Option.getOrThrow(TreeCursor.parse(SourceCursor.placeOf(row.cursor))),
  record: row.outcome._tag === "Done" ? Option.some(decodeRead(row.outcome.value).record) : Option.none()
})

/**
 * The job's program, for whoever gives it the handler of its task another way than by a layer.
 *
 * @category running
 */
export const program = (payload: Payload) => whileThere(payload.homes, read(payload))

const read = Effect.fnUntraced(function*(payload: Payload) {
  const { fanOut } = yield* TaskDispatcher
  const { id } = yield* JobContext
  const concurrency = yield* filesAtOnce
  yield* countBeside(Effect.map(Stream.runCount(elements(id, payload, walk(payload))), (items) => ({ items })))
  const source = (after: Option.Option<string>) =>
    elements(id, payload, pausing(walk(payload, after), pathIn(payload.sources)), after)
  return yield* fanOut(fanOutName, ReadMedia, source, { keep: "all", concurrency, flushEvery: 256 })
  // It collects failures, so it never gives up.
})

/**
 * Layer that supplies the job's program.
 *
 * @category layers
 */
export const layer: Layer.Layer<
  Job.ToProgram<typeof job>,
  never,
  Files.Files | Task.Handler<typeof ReadMedia>
> = job.toLayer(program)
