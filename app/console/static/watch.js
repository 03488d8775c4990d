// The watch room.
import { isReady } from "./shell.js";

isReady();
