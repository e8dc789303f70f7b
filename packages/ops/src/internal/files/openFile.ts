/**
 * Files that are open.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Call, type Calls, code, type Failed, failed } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { failure, Open, type System } from "./openHandle.ts"
import type { Routine } from "./routine.ts"

/** Larger pieces of content take so long that a thread of the pool is worth its while. */
const largestBytes = 2 ** 19

const isLong = true

/** What a mode is at most. */
const mostMode = 0o7777

type Refused = Effect.Effect<never, FilesError>

/** A file or folder that is open to read or write. */
export class File extends Open implements Files.OpenFile {
  get close(): Effect.Effect<void, FilesError> {
    return this.call("close", (calls, descriptor) => {
      this.isOpen = false
      return calls.close(descriptor)
    })
  }

  run<A>(work: (calls: Calls, descriptor: number) => Routine<A | Failed>): Effect.Effect<A, FilesError> {
    return this.call<A>("open", work)
  }

  /** What fails to close here was read, or is given up anyway. */
  get release(): Effect.Effect<void> {
    return Effect.suspend(() => this.isOpen ? Effect.ignore(this.close) : Effect.void)
  }

  get fileSystem(): Effect.Effect<Option.Option<string>, FilesError> {
    return Effect.map(
      this.call("fstatfs", (calls, descriptor) => calls.fileSystem(descriptor)),
      (name) => name === "" ? Option.none() : Option.some(name)
    )
  }

  read(buffer: Uint8Array): Effect.Effect<number, FilesError> {
    return this.readFrom(buffer, null)
  }

  readAt(buffer: Uint8Array, offset: number): Effect.Effect<number, FilesError> {
    return this.readFrom(buffer, offset)
  }

  private readFrom(buffer: Uint8Array, at: number | null): Effect.Effect<number, FilesError> {
    const isLong = buffer.length > largestBytes
    return this.refusal("read", at ?? 0) ??
      this.call("read", (calls, descriptor) => calls.read(descriptor, buffer, at), { isLong })
  }

  write(bytes: Uint8Array): Effect.Effect<void, FilesError> {
    return this.writeTo(bytes, null)
  }

  writeAt(bytes: Uint8Array, offset: number): Effect.Effect<void, FilesError> {
    return this.writeTo(bytes, offset)
  }

  private writeTo(bytes: Uint8Array, at: number | null): Effect.Effect<void, FilesError> {
    const refused = this.refusal("write", at ?? 0)
    if (refused !== undefined) return refused
    const isLong = bytes.length > largestBytes
    const written = this.call("write", (calls, descriptor) => calls.write(descriptor, bytes, at), { isLong })
    return Effect.flatMap(written, (length) => {
      if (length === bytes.byteLength) return Effect.void
      // A device that takes nothing and names no error would be asked for ever.
      if (length === 0) return Effect.fail(failure("write", this.path, "EIO"))
      return this.writeTo(bytes.subarray(length), at === null ? null : at + length)
    })
  }

  dataFrom(offset: number): Effect.Effect<Option.Option<Files.Stretch>, FilesError> {
    const seek = (at: number, to: "data" | "hole") =>
      this.call("lseek", (calls, descriptor) => calls.seek(descriptor, at, to))
    return Effect.flatMap(
      this.refusal("lseek", offset) ?? seek(offset, "data"),
      (start) => Effect.asSome(Effect.map(seek(start, "hole"), (end) => ({ start, end })))
    ).pipe(
      Effect.catchIf(({ code }) => code === "ENXIO", () => Effect.succeedNone)
    )
  }

  copyFrom(file: Files.OpenFile, offset: number, bytes: number): Effect.Effect<number, FilesError> {
    return this.refusal("copy_file_range", offset) ?? this.refusal("copy_file_range", bytes) ??
      this.from("copy_file_range", file, (calls, from, to) => calls.copyRange(from, to, offset, bytes))
  }

  cloneFrom(file: Files.OpenFile): Effect.Effect<void, FilesError> {
    return this.from("ficlone", file, (calls, from, to) => calls.clone(from, to))
  }

  /** Node and koffi make other numbers of some: a file would be emptied by a size that is none. */
  private refusal(name: FilesError["call"], given: number, most = Number.MAX_SAFE_INTEGER): Refused | undefined {
    return Number.isSafeInteger(given) && given >= 0 && given <= most
      ? undefined
      : Effect.fail(failure(name, this.path, "EINVAL"))
  }

  /** Makes a call with another file, which was opened by the same service. */
  private from<A>(
    name: "copy_file_range" | "ficlone",
    file: Files.OpenFile,
    call: (calls: Calls, from: number, to: number) => Call<A>
  ): Effect.Effect<A, FilesError> {
    // What another service has opened is on another file system.
    if (!(file instanceof File)) return Effect.fail(failure(name, this.path, "EXDEV"))
    return this.call<A>(
      name,
      (calls, to) => file.isOpen ? call(calls, file.descriptor, to) : failed(code("EBADF")),
      { isLong }
    )
  }

  truncate(sizeBytes: number): Effect.Effect<void, FilesError> {
    return this.refusal("ftruncate", sizeBytes) ??
      this.call("ftruncate", (calls, descriptor) => calls.truncate(descriptor, sizeBytes), { isLong })
  }

  get forget(): Effect.Effect<void, FilesError> {
    return this.call("fadvise", (calls, descriptor) => calls.forget(descriptor), { isLong })
  }

  get sync(): Effect.Effect<void, FilesError> {
    return this.call("fsync", (calls, descriptor) => calls.sync(descriptor), { isLong })
  }

  get syncFileSystem(): Effect.Effect<void, FilesError> {
    return this.call("syncfs", (calls, descriptor) => calls.syncFileSystem(descriptor), { isLong })
  }

  setMode(mode: number): Effect.Effect<void, FilesError> {
    return this.refusal("fchmod", mode, mostMode) ??
      this.call("fchmod", (calls, descriptor) => calls.setMode(descriptor, mode))
  }

  setTimes(times: Files.FileTimes): Effect.Effect<void, FilesError> {
    return this.call("futimes", (calls, descriptor) => calls.setTimes(descriptor, times))
  }
}

/** Folder that gives names to files without one. */
interface Namer {
  readonly path: FilePath.FilePath
  readonly linkUnnamed: (descriptor: number, name: FilePath.FilePath) => Effect.Effect<void, FilesError>
}

/** A file that has no name yet. */
export class UnnamedFile extends File implements Files.UnnamedFile {
  private readonly folder: Namer

  constructor(system: System, descriptor: number, folder: Namer) {
    super(system, descriptor, folder.path)
    this.folder = folder
  }

  link(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return Effect.suspend(() =>
      this.isOpen
        ? this.folder.linkUnnamed(this.descriptor, name)
        : Effect.fail(failure("link", FilePath.join(this.path, name), "EBADF"))
    )
  }
}
