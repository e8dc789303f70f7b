/**
 * Says what a copy would do, by the same walk and the same decisions, and does nothing.
 */
import * as Conflict from "@fanout/ops/Conflict"
import type * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as FileTree from "@fanout/ops/FileTree"
import * as NodeFiles from "@fanout/ops/NodeFiles"
import * as ProtectedFiles from "@fanout/ops/ProtectedFiles"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** What would become of one entry. */
export interface Step {
  readonly action: "create" | "merge" | "replace" | "keep" | "skip" | "refuse" | "fail"
  readonly kind: "file" | "folder" | "link" | "special" | "unknown"
  readonly source: FilePath.FilePath
  readonly target: FilePath.FilePath
  readonly sizeBytes: number
  /** Why it would be skipped, refused or failed; empty otherwise. */
  readonly why: string
}

const actions = {
  Create: "create",
  Merge: "merge",
  Replace: "replace",
  Unchanged: "keep",
  Skip: "skip",
  RenameTo: "create",
  Refuse: "refuse"
} as const

type Place = Pick<Step, "source" | "target">

const stepOf = (place: Place, mode: Conflict.Mode): Effect.Effect<Step, never, Files.Files> =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const stat = yield* files.lstat(place.source)
    const decision = yield* Conflict.resolve(mode, { path: place.source, stat }, place.target)
    return {
      action: actions[decision._tag],
      kind: stat.kind,
      source: place.source,
      target: Conflict.placeOf(decision, place.target),
      sizeBytes: stat.kind === "file" ? stat.sizeBytes : 0,
      why: Conflict.why(decision)
    }
  }).pipe(Effect.catch((error) => Effect.succeed(unknown(place, "fail", error.message))))

const unknown = (place: Place, action: Step["action"], why: string): Step => ({
  ...place,
  action,
  kind: "unknown",
  sizeBytes: 0,
  why
})

/** What would become of every entry, in the order of the walk. Of a folder that is refused nothing more is said. */
export const steps = ({ leaveOut, request, transfers }: Copy.Payload): Stream.Stream<Step> => {
  let refused: FileTree.Element | undefined
  const isBelow = ({ path, source }: FileTree.Element): boolean =>
    refused !== undefined && refused.source === source && FilePath.isWithin(path, refused.path)
  const next = (element: FileTree.Element): Effect.Effect<Option.Option<Step>, never, Files.Files> =>
    Effect.gen(function*() {
      const transfer = transfers[element.source] ?? transfers[0]
      const at = (root: FilePath.FilePath) => element.path === "" ? root : FilePath.join(root, element.path)
      const place = { source: at(transfer.source), target: at(transfer.target) }
      if (element._tag === "Close" || isBelow(element)) return Option.none()
      if (element._tag === "Unreadable") return Option.some(unknown(place, "fail", element.error.message))
      const step = yield* stepOf(place, request.conflict)
      if (element._tag === "Open" && step.action === "refuse") refused = element
      return Option.some(step)
    })
  return FileTree.walk({ sources: transfers.map(({ source }) => source) }).pipe(
    Stream.mapEffect(next),
    Stream.flatMap((step) => Option.isSome(step) ? Stream.succeed(step.value) : Stream.empty),
    Stream.provideServiceEffect(ProtectedFiles.ProtectedFiles, ProtectedFiles.make(leaveOut)),
    Stream.provide(NodeFiles.layer)
  )
}
