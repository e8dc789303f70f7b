/**
 * Says why one file, link or folder was not copied.
 */
import * as Schema from "effect/Schema"
import * as FilePath from "../../FilePath.ts"
import { FilesError } from "../../FilesError.ts"

/**
 * Schema for why something was not copied.
 *
 * - `Vanished`: the source is gone since it was listed.
 * - `Changed`: the source changed each time that it was read.
 * - `KindChanged`: the source is not what it was listed as any more.
 * - `Mismatch`: what was read back from the device, or is at the address, is not what was written.
 * - `Occupied`: something has the name that was to be free.
 * - `NameTaken`: what is at the destination has the name in another spelling, and may be the copy of another source.
 * - `NameShortened`: the destination shortens names, so that what has this one there may be another source's copy.
 * - `CallFailed`: the file system refused a call, on the side of the source or of the destination.
 * - `Unsupported`: this can't be copied here, or not in this way; nothing was done.
 */
export const Reason = Schema.TaggedUnion({
  Vanished: { path: FilePath.FilePath },
  Changed: { path: FilePath.FilePath },
  KindChanged: { path: FilePath.FilePath },
  Mismatch: { path: FilePath.FilePath },
  Occupied: { path: FilePath.FilePath },
  NameTaken: { path: FilePath.FilePath, other: FilePath.FilePath },
  NameShortened: { path: FilePath.FilePath },
  CallFailed: { side: Schema.Literals(["source", "destination"]), error: FilesError },
  Unsupported: { path: FilePath.FilePath }
})
export type Reason = typeof Reason.Type

const show = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

/** Error of a copy that did not come about. What was at the destination is there as before. */
export class CopyError extends Schema.TaggedError<CopyError>("@fanout/ops/CopyError")("CopyError", {
  reason: Reason
}) {
  override get message(): string {
    return Reason.match(this.reason, {
      Vanished: ({ path }) => `${show(path)} vanished before it could be copied`,
      Changed: ({ path }) => `${show(path)} changed while it was copied`,
      KindChanged: ({ path }) => `${show(path)} became something else before it could be copied`,
      Mismatch: ({ path }) => `The copy ${show(path)} is not what was written`,
      Occupied: ({ path }) => `Something took the name ${show(path)} in the meantime`,
      NameTaken: ({ other, path }) =>
        `${show(path)} is not copied: ${show(other)} has that name already at the destination, which takes both for ` +
        "one name: rename one of them, or copy to another file system",
      NameShortened: ({ path }) =>
        `${show(path)} is not copied: the destination shortens names, so what has this one there may be the copy of ` +
        "another file: give it a shorter name, or copy to another file system",
      CallFailed: ({ error }) => error.message,
      Unsupported: ({ path }) => `There is no way to copy ${show(path)} here`
    })
  }
}
