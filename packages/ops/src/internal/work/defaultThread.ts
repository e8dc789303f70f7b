/**
 * What threads of file jobs run, where nobody names a module of their own.
 */
import * as FileThread from "../../FileThread.ts"

FileThread.run()
