/**
 * Makes a folder, and gives it the mode and times of its source once nothing is written in it any more.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { FilesError } from "../../FilesError.ts"
import type { Lost } from "../../ProgressUnits.ts"
import * as Place from "../path/place.ts"
import { unfinishedMode, withInherited } from "../path/unfinishedFolder.ts"
import { keepAttributes } from "../steps/attributes.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import { prepare } from "../steps/durability.ts"
import { refuseShortened } from "../steps/filePlacement.ts"
import * as MadeFolders from "../steps/madeFolders.ts"
import { onDestination, onSource } from "../steps/sideErrors.ts"
import type { Copied, CopyRequest } from "./copyRequest.ts"

const { KindChanged, Occupied } = Reason.cases

/**
 * Makes a folder without what is in it: one that only its owner may use, for the time being. A folder that is there
 * already is taken as it is.
 */
export const make = Effect.fnUntraced(function*(
  { target }: Pick<CopyRequest, "target">
): Effect.fn.Return<Copied, CopyError | Interrupted> {
  const flush = yield* prepare(target.folder)
  yield* Lease.check
  yield* target.folder.makeFolder(target.name).pipe(
    Effect.andThen(MadeFolders.add(Place.path(target))),
    Effect.catchIf((error) => error.code === "EEXIST", () => ensureFolder(target)),
    onDestination
  )
  yield* flush.names
  return { strategy: "folder", sizeBytes: 0, lost: [] }
})

/** After a crash a folder is made once more. A link to a folder is none: what it leads to is not ours to fill. */
const ensureFolder = Effect.fnUntraced(function*(target: Place.Place) {
  const found = yield* Place.find(target)
  if (Option.exists(found, ({ kind }) => kind !== "folder")) {
    return yield* new CopyError({ reason: Occupied.make({ path: Place.path(target) }) })
  }
  yield* refuseShortened(target)
})

/** Whether a copy has made a folder, and not ended it. Not everywhere is one made with all of its mode. */
const isMade = (target: Place.Place, stat: Files.FileStat) =>
  stat.mode === withInherited(unfinishedMode, stat) ? Effect.succeed(true) : MadeFolders.has(Place.path(target))

/**
 * Gives a folder the mode and times that its source has by now, or these times, and returns what its file system has
 * not. Where modes are not kept, one that was there before the copy keeps its own. So it does where the source is an
 * address, which has neither mode nor times to give.
 */
export const finish = Effect.fnUntraced(function*(
  source: Place.Place,
  target: Place.Place,
  options: CopyOptions,
  times?: Files.FileTimes
): Effect.fn.Return<ReadonlyArray<Lost>, CopyError | Interrupted, Files.Files | Scope.Scope> {
  const stat = yield* onSource(Place.lstat(source))
  if (stat.kind !== "folder") {
    return yield* new CopyError({ reason: KindChanged.make({ path: Place.path(source) }) })
  }
  const folder = yield* onDestination(Place.openFile(target))
  const found = yield* onDestination(folder.stat)
  if (found.kind !== "folder") {
    const error = new FilesError({ call: "open", code: "ENOTDIR", path: Place.path(target), target: Option.none() })
    return yield* onDestination(Effect.fail(error))
  }
  const flush = yield* prepare(target.folder)
  yield* Lease.check
  const own = (yield* isMade(target, found)) ? undefined : found.mode
  const lost = own !== undefined && FilePath.isAddress(Place.path(source))
    ? []
    : yield* keepAttributes(folder, onSource(Place.openFile(source)), { ...stat, ...times }, options, own)
  yield* flush.content([folder])
  return lost
}, Effect.scoped)
