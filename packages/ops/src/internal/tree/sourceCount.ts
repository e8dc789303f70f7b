/**
 * Counts what jobs that read files, and change none, have to do.
 */
import * as Checkpoint from "@fanout/core/Checkpoint"
import type { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Files from "../../Files.ts"
import * as QuickFiles from "../files/quickFiles.ts"
import * as FileTree from "./fileTree.ts"
import { SourceEndings, type Sources } from "./sources.ts"

const total = Checkpoint.make("total", Schema.Natural)

/** What is over by then needs no percentage. */
const after = "500 millis"

/**
 * Tells how much there is in all, counted beside the work, and by one run of the job alone. Where that can't be
 * counted, it is not known.
 */
export const countSources = (
  id: JobId,
  given: typeof Sources.Type
): Effect.Effect<void, never, Files.Files | JobContext> => {
  const endings = new SourceEndings(id, given)
  const counted = QuickFiles.walking(given.sources, FileTree.walk({ sources: given.sources })).pipe(
    Stream.runFold(() => 0, (count, element) => endings.of(element) === "passed" ? count : count + 1),
    Effect.delay(after),
    Effect.tap(total.save)
  )
  return total.get.pipe(
    Effect.flatMap(Option.match({ onNone: () => counted, onSome: Effect.succeed })),
    Effect.flatMap((count) => Progress.total("items", count)),
    Effect.ignore
  )
}
