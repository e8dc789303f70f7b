/**
 * Says why a file is not as its checksum has it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"

/**
 * Error of a file that has not the digest that it is to have, or can't be read.
 *
 * @category errors
 * @since 0.1.0
 */
export class CheckFailed extends Schema.TaggedError<CheckFailed>("@fanout/ops/HashTask/CheckFailed")("CheckFailed", {
  /**
   * The file system's own code, such as `EACCES`; `Changed` where it changed while it was read, `Different` where its
   * digest is another one, `NoFile` where a file was expected, `Database` where it belongs to that of the job.
   */
  code: Schema.String,
  path: FilePath.FilePath,
  why: Schema.String
}) {
  override get message(): string {
    return this.why
  }
}
