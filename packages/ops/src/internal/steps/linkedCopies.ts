/**
 * Copies files that have several names so that the copies are one file with as many, too.
 */
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Lease from "@fanout/core/Lease"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { CopyOptions } from "../../CopyOptions.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import * as HardLinks from "../../HardLinks.ts"
import type { Copied, CopyRequest } from "../entry/copyRequest.ts"
import * as Place from "../path/place.ts"
import { prepare } from "./durability.ts"
import { createTemporary, occupied, place } from "./filePlacement.ts"
import { onDestination } from "./sideErrors.ts"
import { linkedAs } from "./sourceEdition.ts"

/** Reference to the files that are being copied in the present run of a job: one name after the other. */
export const Turns = Context.Reference<Map<string, Deferred.Deferred<void>>>("@fanout/ops/internal/hardLinks", {
  defaultValue: () => new Map()
})

/** Reference to what remembers them in the present run of a job. */
export const Memory = Context.Reference<HardLinks.HardLinks["Service"]>("@fanout/ops/internal/hardLinks/Memory", {
  defaultValue: () => HardLinks.none
})

/** Does this once nobody else is at the same file, or whatever has the key. */
export const inTurn = <A, E, R>(key: string, body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Turns, (turns) => {
    const begin = Effect.suspend((): Effect.Effect<Deferred.Deferred<void>> => {
      const running = turns.get(key)
      // Only who waits can be interrupted: a turn that is taken has to be given back.
      if (running !== undefined) {
        return Effect.andThen(Effect.interruptible(TaskDispatcher.waitForOthers(Deferred.await(running))), begin)
      }
      const own = Deferred.makeUnsafe<void>()
      turns.set(key, own)
      return Effect.succeed(own)
    })
    return Effect.acquireUseRelease(begin, () => body, (own) =>
      Effect.sync(() => {
        turns.delete(key)
        Deferred.doneUnsafe(own, Exit.void)
      }))
  })

/**
 * Whether a file has other names that are to be kept, or may have had some: what was moved has none any more where it
 * was.
 */
export const mayHaveOthers = ({ kind, links }: Files.FileStat, { isMove, keeps }: CopyOptions): boolean =>
  kind === "file" && (links > 1 || isMove) && keeps.has("links")

/** What file systems answer that have no hard links, or not as many, or not here. */
const withoutLinks = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV", "ENOENT"])

/** Those of these editions of which the job has put a copy somewhere, under another name. */
export const known = Effect.fnUntraced(function*(editions: ReadonlyArray<string>) {
  const { job } = yield* Lease.Lease
  if (Option.isNone(job) || editions.length === 0) return new Set<string>()
  return new Set((yield* (yield* Memory).find(job.value, editions)).keys())
})

/** The copy of a file, under the first of its names, as long as it is what the job has put there. */
interface First {
  readonly place: Place.Place
  readonly stat: Files.FileStat
}

/** Some file systems know times to two seconds. */
const coarsestNanos = 2_000_000_000n

const findFirst = Effect.fnUntraced(function*(
  source: Files.FileStat,
  options: CopyOptions
): Effect.fn.Return<First | undefined, JobStoreError | FilesError, Files.Files | Scope.Scope> {
  const { job } = yield* Lease.Lease
  if (Option.isNone(job)) return undefined
  const edition = linkedAs(source, options)
  const path = (yield* (yield* Memory).find(job.value, [edition])).get(edition)
  if (path === undefined) return undefined
  const found = Effect.flatMap(
    Place.open(path),
    (place) => Effect.map(Place.lstat(place), (stat) => ({ place, stat }))
  )
  // What took its place is a file of its own.
  const first = yield* Effect.catchIf(
    found,
    ({ code, isMissing }) => isMissing || code === "ELOOP",
    () => Effect.undefined
  )
  if (first === undefined) return undefined
  const { kind, modifiedNanos, sizeBytes } = first.stat
  const apart = modifiedNanos - source.modifiedNanos
  const isSameTime = !options.keeps.has("times") || (apart < coarsestNanos && apart > -coarsestNanos)
  const isSame = kind === "file" && sizeBytes === source.sizeBytes && isSameTime
  return isSame ? first : undefined
})

const remember = Effect.fnUntraced(function*(source: Files.FileStat, target: Place.Place, options: CopyOptions) {
  const { job } = yield* Lease.Lease
  if (Option.isSome(job)) yield* (yield* Memory).add(job.value, linkedAs(source, options), Place.path(target))
})

/** Gives the first copy one more name; nothing where that can't be. */
const link = (request: CopyRequest, { place: { folder, name }, stat }: First) =>
  Effect.gen(function*() {
    const { target, temporary } = request
    const flush = yield* prepare(target.folder)
    const there = Effect.orElseSucceed(Place.find(target), () => Option.none<Files.FileStat>())
    const isThere = Effect.map(there, Option.exists((there) => Files.isSameInode(there, stat)))
    if (request.placing === "exclusive") {
      yield* Lease.check
      yield* onDestination(Effect.catchIf(
        folder.link(name, target.name, target.folder),
        ({ code }) => code === "EEXIST",
        () => Effect.flatMap(isThere, (isThere) => isThere ? Effect.void : Effect.fail(occupied(request)))
      ))
    } else if (!(yield* isThere)) {
      // Two names of one file could not take each other's place.
      yield* createTemporary(request, folder.link(name, temporary, target.folder))
      yield* place(request)
    }
    yield* flush.names
    return { strategy: "hard link", sizeBytes: 0, lost: [] } satisfies Copied
  }).pipe(
    Effect.scoped,
    Effect.catchReason("CopyError", "CallFailed", (reason, error) =>
      withoutLinks.has(reason.error.code) ? Effect.undefined : Effect.fail(error))
  )

/** Copies a file, or gives the copy that one of its other names has already one more name. */
export const copy = <E, R>(
  request: CopyRequest,
  copyContent: Effect.Effect<Copied, E, R>
) =>
  inTurn(
    linkedAs(request.stat, request.options),
    Effect.gen(function*() {
      const first = yield* findFirst(request.stat, request.options)
      const linked = first === undefined ? undefined : yield* link(request, first)
      if (linked !== undefined) return linked
      const copied = yield* copyContent
      if (request.stat.links > 1) yield* remember(request.stat, request.target, request.options)
      // What could not be linked has a copy of its own.
      return first === undefined ? copied : { ...copied, lost: [...copied.lost, "links" as const] }
    }).pipe(Effect.scoped)
  )

/**
 * Whether what has the name of the target already, and the size and time of the source, is what the first copy is:
 * then it is left alone. Where there is no first copy it is that from now on.
 */
export const isLinked = (source: Files.FileStat, target: Place.Place, options: CopyOptions) =>
  inTurn(
    linkedAs(source, options),
    Effect.gen(function*() {
      const first = yield* findFirst(source, options)
      if (first === undefined) {
        yield* remember(source, target, options)
        return true
      }
      const there = yield* Place.lstat(target)
      return Files.isSameInode(there, first.stat)
    }).pipe(Effect.scoped)
  )
